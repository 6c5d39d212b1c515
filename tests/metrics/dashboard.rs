//! The dashboard for Grafana: that it is one, and what it asks Prometheus. `scraped` has the answers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::run;

/// What Prometheus is asked for, as panels have it: with variables in it.
pub fn queries() -> Vec<String> {
    let dashboard = dashboard();
    let targets =
        panels(&dashboard).into_iter().flat_map(|panel| panel["targets"].as_array().cloned().unwrap_or_default());
    targets.map(|target| text(&target["expr"]).to_owned()).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../data/grafana/portlabel.json")).expect("JSON")
}

/// Its panels, rows among them.
fn panels(dashboard: &Value) -> Vec<&Value> {
    dashboard["panels"].as_array().expect("panels").iter().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn it_can_be_imported() {
    let dashboard = dashboard();
    // an import gives it an id; by its uid a later version is known for the same
    assert_eq!((&dashboard["id"], &dashboard["uid"]), (&Value::Null, &Value::from("portlabel")));
    // that of Grafana 10.3: what is older cannot read it, and what is newer brings it up to its own
    assert_eq!(number(&dashboard["schemaVersion"]), 39);
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let names: Vec<_> = variables.iter().map(|variable| (text(&variable["name"]), text(&variable["type"]))).collect();
    assert_eq!(names, [("datasource", "datasource"), ("host", "query"), ("service", "query")]);
    for panel in panels(&dashboard).into_iter().chain(&variables[1..]) {
        let source = panel.get("datasource").map(|source| (text(&source["type"]), text(&source["uid"])));
        let is_row = panel["type"] == "row";
        assert_eq!(source, (!is_row).then_some(("prometheus", "${datasource}")), "{}", panel["title"]);
    }
}

#[test]
fn panels_stand_beside_each_other() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(&dashboard) {
        let title = text(&panel["title"]);
        assert!(ids.insert(number(&panel["id"])), "{title}: another one has its id");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| number(&panel["gridPos"][side]));
        assert!(x + w <= 24, "{title}: Grafana has 24 columns");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{title}: another one is there");
        }
    }
}

#[test]
fn queries_ask_for_hosts_and_use_every_family_of_traffic() {
    let queries = queries();
    assert!(queries.len() > 20, "{}", queries.len());
    for query in &queries {
        let families = query.matches("portlabel_").count();
        assert_eq!(query.matches("instance=~\"$host\"").count(), families, "{query}");
    }
    let all = queries.join("\n");
    let known = run(&["fixtures/office/capture.pcapng", "-o", "prometheus"]).stdout;
    let families = known.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unused: Vec<_> = families.filter(|family| !all.contains(family)).collect();
    // bytes say what these say
    assert_eq!(
        unused,
        ["portlabel_evidence_flows_total", "portlabel_evidence_packets_total", "portlabel_packets_total"]
    );
}
