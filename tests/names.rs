//! Names of services: those of users, IANA's, the list that the project started from on packets, and the tables of
//! `data/` against what they were made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use portlabel::units::Transport;
use serde_json::Value;
use tempfile::TempDir;

use crate::cases::{Case, skipped};
use crate::frames::{Kind, Packet};
use crate::program::{Ran, run};
use crate::records::pcap_file;

const SERVICES: &str = include_str!("../data/services.tsv");
const OVERLAY: &str = include_str!("../data/overlay.tsv");
const SEED: &str = include_str!("../data/seed.tsv");

/// The rows of a table without the first line, which names the columns; each as many cells as that.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let columns = table.lines().next().expect("columns").split('\t').count();
    let rows: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == columns));
    rows
}

fn ports(text: &str) -> std::ops::RangeInclusive<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    first.parse().expect("a port")..=last.parse().expect("a port")
}

fn transports(word: &str) -> Vec<Transport> {
    let named = |transport: &Transport| transport.name() == word || word == "both" && (*transport as u8) < 2;
    Transport::ALL.into_iter().filter(named).collect()
}

/// The name that a cell gives to a port: one for all ports, or one each.
fn name_of<'t>(cell: &'t str, all: &str, port: u16) -> &'t str {
    let names: Vec<_> = cell.split('/').collect();
    if names.len() == 1 { cell } else { names[usize::from(port - ports(all).start())] }
}

/// A port of a transport.
pub type Key = (u16, Transport);

/// What a column calls each port, from the rows that `keep` wants.
fn names(table: &str, column: usize, keep: impl Fn(&[&str]) -> bool) -> BTreeMap<Key, &str> {
    let mut names = BTreeMap::new();
    for row in rows(table).into_iter().filter(|row| keep(row)) {
        for port in ports(row[0]) {
            for transport in transports(row[1]) {
                names.insert((port, transport), name_of(row[column], row[0], port));
            }
        }
    }
    names
}

/// Every port of which a table says something.
pub fn known_ports() -> BTreeSet<Key> {
    let keys = |table, column| names(table, column, |_| true).into_keys();
    keys(SERVICES, 1).chain(keys(OVERLAY, 1)).chain(keys(SEED, 1)).collect()
}

/// A packet to a server's port, from a client port of which nothing is known.
fn packet(at: usize, transport: Transport, port: u16) -> Packet {
    // a port for each: one that many ports talk to would look like a server's
    let client = 61_700 + u16::try_from(at).expect("few packets");
    Packet {
        ts_nanos: 1_769_853_600_000_000_000 + i64::try_from(at).expect("few packets"),
        is_v6: at % 2 == 1,
        tags: 0,
        extensions: 0,
        transport,
        src: (1, client),
        dst: (2, port),
        kind: Kind::Data,
        payload_len: 9,
        wire_len: 0,
    }
}

/// A capture of packets, in a folder of its own.
fn capture(folder: &TempDir, packets: &[Packet]) -> String {
    let frames: Vec<_> = packets.iter().map(Packet::owned).collect();
    let frames: Vec<_> = frames.iter().map(|frame| (frame.ts_nanos.cast_unsigned(), &frame.data[..])).collect();
    let path = folder.path().join("capture.pcap");
    fs::write(&path, pcap_file(&frames)).expect("room");
    path.to_str().expect("ASCII").to_owned()
}

fn written(folder: &TempDir, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("room");
    path.to_str().expect("ASCII").to_owned()
}

#[track_caller]
fn went_well(args: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{args:?}");
    ran
}

/// The flows of a capture by their client's port: service, and the port that it stands for.
fn flows(args: &[&str]) -> BTreeMap<u64, (Option<String>, u64)> {
    let lines = went_well(&[args, &["-o", "flows"]].concat()).json_lines();
    let flow = |flow: &Value| {
        let service = flow["service"].as_str().map(str::to_owned);
        Some((flow["client"]["port"].as_u64()?, (service, flow["port"].as_u64()?)))
    };
    lines.iter().map(|line| flow(line).expect("ports")).collect()
}

#[test]
fn every_row_of_the_list_names_its_packets_and_is_looked_up() {
    let list = rows(SEED);
    assert_eq!(list.len(), 210);
    let iana = names(SERVICES, 2, |_| true);
    let in_use = names(OVERLAY, 5, |row| row[4] != "note");
    let listed: Vec<_> = list
        .iter()
        .flat_map(|row| ports(row[0]).flat_map(move |port| transports(row[1]).into_iter().map(move |t| (row, port, t))))
        .collect();

    let folder = tempfile::tempdir().expect("a folder");
    let packets: Vec<_> =
        listed.iter().enumerate().map(|(at, (_, port, transport))| packet(at, *transport, *port)).collect();
    let flows = flows(&[&capture(&folder, &packets)]);
    assert_eq!(flows.len(), listed.len());

    let queries: Vec<_> = listed.iter().map(|(_, port, transport)| format!("{port}/{transport}")).collect();
    let args: Vec<_> = ["lookup", "--json"].into_iter().chain(queries.iter().map(String::as_str)).collect();
    let document = went_well(&args).json();
    let matches = document["matches"].as_array().expect("an array");
    assert_eq!(matches.len(), listed.len());

    for ((at, (row, port, transport)), found) in listed.iter().enumerate().zip(matches) {
        let place = format!("{port}/{transport}, list: {}", row[3]);
        let key = (*port, *transport);
        let own = name_of(row[2], row[0], *port);
        let want = in_use.get(&key).or_else(|| iana.get(&key)).copied().unwrap_or(own);
        let client = u64::from(packets[at].src.1);
        assert_eq!(flows[&client], (Some(want.to_owned()), u64::from(*port)), "{place}");

        assert_eq!((&found["query"], &found["service"]), (&queries[at].as_str().into(), &want.into()), "{place}");
        assert_eq!(found["iana_name"].as_str(), iana.get(&key).copied(), "{place}");
        let words = found["list"].as_array().expect("an array").iter().find(|listed| listed["words"] == row[3]);
        let words = words.unwrap_or_else(|| panic!("{place}: {found:#}"));
        assert_eq!((&words["name"], &words["agrees"]), (&own.into(), &row[4].into()), "{place}");
        // the list's name is the one that is shown, or one of the others
        let others = found["aliases"].as_array().expect("an array");
        let known = want == own || others.contains(&own.into()) || (row[4] == "no" && iana.contains_key(&key));
        assert!(known, "{place}: {found:#}");
    }
}

#[test]
fn what_the_list_says_twice_or_against_iana_is_shown_so() {
    let cases = [
        // query, the name, other names, how many rows of the list, of which that many contradict IANA
        ("9/tcp", "discard", &[][..], 1, 1),
        ("370/tcp", "codaauth2", &["securecast1"], 2, 1),
        ("654/udp", "aodv", &[], 1, 1),
        ("113/tcp", "ident", &["auth"], 2, 0),
        ("113/udp", "auth", &[], 1, 0),
        ("465/tcp", "submissions", &["urd"], 2, 0),
        ("445/tcp", "smb", &["microsoft-ds"], 2, 0),
    ];
    for (query, name, aliases, rows, against) in cases {
        let document = went_well(&["lookup", "--json", query]).json();
        let found = &document["matches"][0];
        assert_eq!((&found["service"], &found["aliases"]), (&name.into(), &aliases.into()), "{query}");
        let list = found["list"].as_array().expect("an array");
        let no = list.iter().filter(|row| row["agrees"] == "no").count();
        assert_eq!((list.len(), no), (rows, against), "{query}");
    }
    for port in [51, 57, 61, 75, 77, 87, 831, 832, 833] {
        let document = went_well(&["lookup", "--json", &port.to_string()]).json();
        for found in document["matches"].as_array().expect("an array") {
            assert_eq!((&found["layer"], &found["iana_name"]), (&"list".into(), &Value::Null), "{port}");
            assert!(found["service"].is_string(), "{port}");
        }
    }
}

#[test]
fn users_names_are_in_every_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = written(&folder, "first", "\u{feff}mine 443/tcp\r\nweb 80/tcp http # all of it\r\n");
    let second = written(&folder, "second", b"shop\t443/tcp mine # caf\xe9\nhigh 60000-60100/tcp");
    let (tcp, udp, udplite) = (Transport::Tcp, Transport::Udp, Transport::UdpLite);
    let targets = [(tcp, 443), (tcp, 80), (tcp, 60_050), (udp, 443), (udplite, 443), (tcp, 3389)];
    let packets = targets.iter().enumerate().map(|(at, (transport, port))| packet(at, *transport, *port));
    // the SYN says who serves: by the numbers alone the client would be as likely on the high ports
    let packets: Vec<_> = packets.map(|packet| Packet { kind: Kind::Open, ..packet }).collect();
    let capture = capture(&folder, &packets);
    let cases: [(&[&str], [&str; 6]); 6] = [
        (&[], ["https", "http", "-", "quic", "quic", "rdp"]),
        (&["--iana-names"], ["https", "http", "-", "https", "https", "ms-wbt-server"]),
        (&["--services", &first], ["mine", "web", "-", "quic", "quic", "rdp"]),
        (&["--services", &first, "--services", &second], ["shop", "web", "high", "quic", "quic", "rdp"]),
        (&["--services", &second, "--services", &first], ["mine", "web", "high", "quic", "quic", "rdp"]),
        (&["--services", &first, "--iana-names"], ["mine", "web", "-", "https", "https", "ms-wbt-server"]),
    ];
    for (options, want) in cases {
        let args = [options, &[&capture]].concat();
        let names: Vec<_> =
            flows(&args).into_values().map(|(service, _)| service.unwrap_or_else(|| "-".to_owned())).collect();
        assert_eq!(names, want, "{options:?}");
        let rows: BTreeSet<_> = want.iter().filter(|name| **name != "-").copied().collect();
        let document = went_well(&[&args[..], &["-o", "json"]].concat()).json();
        let services = document["services"].as_array().expect("an array").iter();
        let services: BTreeSet<_> = services.filter_map(|row| row["service"].as_str()).collect();
        assert_eq!(services, rows, "{options:?}");
        let table = went_well(&args).stdout;
        let csv = went_well(&[&args[..], &["-o", "csv"]].concat()).stdout;
        for name in rows {
            assert!(table.contains(&format!("\n{name} :")) && csv.contains(&format!(",{name},")), "{table}{csv}");
        }
    }
    // --numeric prints neither
    let table = went_well(&["-n", "--services", &first, &capture]).stdout;
    assert!(table.contains("\ntcp/443 ") && !table.contains("mine"), "{table}");
}

#[test]
fn what_is_wrong_with_a_users_file_is_told_by_its_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let dns = Case::named("dns").capture;
    let dns = dns.to_str().expect("ASCII");
    let bad = written(&folder, "bad", "ssh\nok 1/tcp\nrtp 5004/udplite\nother 2/tcp\nx 3/tcp\x1b[2J\n");
    let many = written(&folder, "many", "x 70000/tcp\n".repeat(25));
    let crowd = (0..65_536).map(|port| format!("n{port} {port}/tcp\n")).collect::<Vec<_>>().concat();
    let crowd = written(&folder, "crowd", crowd);
    let told = [
        format!("portlabel: {bad}:1: \"ssh\" has no port; a line is: name port/protocol [alias ...]\n"),
        format!("portlabel: {bad}:3: UDP-Lite takes the names of udp (RFC 3828, section 3.1); write 5004/udp\n"),
        format!("portlabel: {bad}:4: the name \"other\" is reserved for rows without one name; choose another\n"),
        format!("portlabel: {bad}:5: \"tcp\\u{{1b}}[2J\" is no protocol with ports; one of: tcp, udp, sctp, dccp\n"),
    ]
    .concat();
    let ten: String = (1..=10)
        .map(|line| format!("portlabel: {many}:{line}: \"70000\" is no port; ports go from 0 to 65535\n"))
        .collect::<Vec<_>>()
        .concat();
    let cases: [(&[&str], String); 6] = [
        (&["--services", &bad], told.clone()),
        (&["--services", &many], format!("{ten}portlabel: {many}: and 15 more\n")),
        (&["--services", &bad, "--services", &many], format!("{told}{ten}portlabel: {many}: and 15 more\n")),
        (
            &["--services", "/nowhere"],
            "portlabel: /nowhere: cannot read the names: No such file or directory (os error 2)\n".to_owned(),
        ),
        (
            &["--services", "/dev/zero"],
            "portlabel: /dev/zero: cannot read the names: it has more than 64 MiB\n".to_owned(),
        ),
        (&["--services", &crowd], "portlabel: --services: more than ".to_owned()),
    ];
    for (options, says) in cases {
        for command in [&["lookup", "443"][..], &[dns]] {
            let ran = run(&[command, options].concat());
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{options:?}");
            if says.ends_with('\n') {
                assert_eq!(ran.stderr, says, "{options:?}");
            } else {
                assert!(ran.stderr.starts_with(&says) && ran.stderr.lines().count() == 1, "{ran:?}");
            }
        }
    }
}

#[test]
fn a_users_file_is_not_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let own = written(&folder, "own", "mine 53/udp\n");
    let dns = Case::named("dns").capture;
    let dns = dns.to_str().expect("ASCII");
    for options in [&["-o", &format!("json={own}")][..], &["-w", &own]] {
        let ran = run(&[&[dns, "--services", &own][..], options].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{options:?}");
        assert!(ran.stderr.contains("is an input; "), "{ran:?}");
        assert_eq!(fs::read_to_string(&own).expect("it is there"), "mine 53/udp\n");
    }
}

#[test]
fn appletalk_is_left_out_with_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = written(&folder, "one", "rtmp 1/ddp # Routing Table Maintenance Protocol\nmine 53/udp\n");
    let two = written(&folder, "two", "rtmp 1/ddp\nnbp 2/ddp\nmine 53/udp\n");
    let dns = Case::named("dns").capture;
    let dns = dns.to_str().expect("ASCII");
    for (file, says) in [(&one, "1 line is"), (&two, "2 lines are")] {
        for command in [&["lookup", "53/udp"][..], &[dns]] {
            let args = [command, &["--services", file]].concat();
            let ran = run(&args);
            let want = format!("portlabel: {file}: {says} left out: ddp is AppleTalk, not IP\n");
            assert_eq!((ran.code, ran.stderr), (Some(0), want), "{args:?}");
            assert!(ran.stdout.contains("mine"), "{args:?}");
            assert!(went_well(&[&args[..], &["-q"]].concat()).stdout.contains("mine"), "{args:?}");
        }
    }
}

#[test]
fn the_systems_own_file_is_taken_as_it_is() {
    let Ok(bytes) = fs::read("/etc/services") else {
        skipped("there is no /etc/services (Debian: netbase): a real file of names");
        return;
    };
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let lines: Vec<Vec<_>> = lines.map(|line| line.split_whitespace().collect()).collect();
    let lines: Vec<_> = lines.iter().filter(|line| line.len() > 1 && !line[1].ends_with("/ddp")).collect();
    assert!(lines.len() > 100, "only {} lines name ports", lines.len());
    let queries: Vec<_> = lines.iter().map(|line| line[1]).collect();
    let options = ["lookup", "-q", "--json", "--services", "/etc/services"];
    let document = went_well(&[&options[..], &queries].concat()).json();
    let matches = document["matches"].as_array().expect("an array");
    assert_eq!(matches.len(), lines.len());
    for (line, found) in lines.iter().zip(matches) {
        assert_eq!((&found["query"], &found["layer"]), (&line[1].into(), &"user".into()), "{line:?}");
        for name in line[0..1].iter().chain(&line[2..]) {
            let aliases = found["aliases"].as_array().expect("an array");
            assert!(found["service"] == *name || aliases.contains(&(*name).into()), "{line:?}: {found:#}");
        }
    }
}

/// The tables that ours were made from, or a word that they are not there.
fn source(file: &str) -> Option<String> {
    let folder = std::env::var_os("PORTLABEL_PORTS").map(PathBuf::from);
    let Some(folder) = folder else {
        skipped(&format!("PORTLABEL_PORTS is not set: data/ against {file}, which it was made from"));
        return None;
    };
    let path = folder.join(file);
    Some(fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Two columns of ports as one.
fn joined(row: &[&str]) -> String {
    if row[0] == row[1] { row[0].to_owned() } else { format!("{}-{}", row[0], row[1]) }
}

/// What one side has and the other has not.
fn differences(theirs: &[String], ours: &[String]) -> Vec<String> {
    let only = |these: &[String], those: &[String], sign: char| {
        let those: BTreeSet<_> = those.iter().collect();
        these.iter().filter(|row| !those.contains(row)).map(|row| format!("{sign} {row}")).collect::<Vec<_>>()
    };
    [only(theirs, ours, '-'), only(ours, theirs, '+')].concat()
}

#[test]
fn iana_names_are_those_of_their_source() {
    let Some(source) = source("iana_ports.tsv") else { return };
    let theirs: Vec<_> = rows(&source).iter().map(|row| [&[&*joined(row)], &row[2..]].concat().join("\t")).collect();
    let ours: Vec<_> = SERVICES.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(theirs, ours);
}

/// Rows of the overlay whose `why` is another than in its source, which wrote it for reviewers; ours is for users. It says
/// what the service is, where theirs said no more than IANA's name or what to do with it.
#[rustfmt::skip]
const REWORDED: [&str; 40] = [
    "111/tcp", "111/udp", "135/tcp", "445/tcp", "465/tcp", "502/tcp", "623/udp", "1701/udp", "2049/tcp", "2049/udp",
    "2222/udp", "3000/tcp", "3389/tcp", "3389/udp", "4222/tcp", "4242/udp", "5000/tcp", "5900/tcp", "6665/tcp",
    "6666-6669/tcp", "6697/tcp", "6881/tcp", "6882-6887/tcp", "6888/tcp", "6889/tcp", "9000/tcp", "9200/tcp",
    "9300/tcp", "20000/tcp", "20000/udp", "30000-32767/tcp", "34962/udp", "34964/udp", "34980/udp", "41641/udp",
    "44818/tcp", "44818/udp", "47808/udp", "51820/udp", "60000-61000/udp",
];

#[test]
fn names_in_use_are_those_of_their_source() {
    let Some(source) = source("defacto_overlay.tsv") else { return };
    // ports, transport, IANA's name, name, action, source
    let theirs = rows(&source).iter().map(|row| [&row[..5], &row[6..]].concat().join(" | ")).collect::<Vec<_>>();
    let ours = rows(OVERLAY).iter().map(|row| [&row[..5], &row[7..]].concat().join(" | ")).collect::<Vec<_>>();
    // these ranges hold a port for which IANA has a name after all: there it is a rename
    let vnc = "Debian firewalld 1.3.3-1~deb12u2 services/vnc-server.xml";
    let bep = "https://bittorrent.org/beps/bep_0003.html";
    let want = [
        format!("- 5901-5903 | tcp |  | vnc | add | {vnc}"),
        format!("- 6882-6889 | tcp |  | bittorrent | add | {bep}"),
        format!("+ 5901-5902 | tcp |  | vnc | add | {vnc}"),
        format!("+ 5903 | tcp | ff-ice | vnc | rename | {vnc}"),
        format!("+ 6882-6887 | tcp |  | bittorrent | add | {bep}"),
        format!("+ 6888 | tcp | muse | bittorrent | rename | {bep}"),
        format!("+ 6889 | tcp |  | bittorrent | add | {bep}"),
    ];
    let (own, others): (Vec<_>, Vec<_>) =
        differences(&theirs, &ours).into_iter().partition(|row| row.contains(" | keep | RFC "));
    assert_eq!(others, want);
    // services that RTP's neighbours are told from, looked up in the RFCs that gave them their ports
    let own: Vec<_> = own.iter().filter_map(|row| row.strip_prefix("+ ")?.split(' ').next()).collect();
    assert_eq!(own, ["1812", "1813", "3784", "5060", "5246", "5247", "5349", "5683", "5684"]);

    // empty where it said that there is nothing to say
    let theirs = rows(&source);
    let whys = rows(OVERLAY).into_iter().filter(|row| !row[7].starts_with("RFC ")).map(|row| {
        let first = *ports(row[0]).start();
        // the last one that holds it: 32400 is in the range of node ports too
        let theirs = theirs.iter().rfind(|theirs| theirs[1] == row[1] && ports(theirs[0]).contains(&first));
        let theirs = theirs.expect("its row")[5];
        (format!("{}/{}", row[0], row[1]), theirs, row[6])
    });
    let (empty, said): (Vec<_>, Vec<_>) = whys.partition(|(_, _, ours)| ours.is_empty());
    let nothing = "IANA name is right; listed because it was asked for";
    assert!(empty.iter().all(|(_, theirs, _)| *theirs == nothing) && empty.len() == 32, "{empty:?}");
    let reworded: Vec<_> = said.iter().filter(|(_, theirs, ours)| theirs != ours).map(|(place, ..)| place).collect();
    assert_eq!(reworded, REWORDED);
}

#[test]
fn the_list_is_that_of_its_source() {
    let Some(source) = source("seed_ports.tsv") else { return };
    let form = |ports: &str, row: [&str; 5]| format!("{ports} | {}", row.join(" | "));
    // ports, transport, name, words, whether it agrees, note
    let theirs = rows(&source).iter().map(|r| form(&joined(r), [r[4], r[5], r[3], r[6], r[7]])).collect::<Vec<_>>();
    let ours = rows(SEED).iter().map(|r| form(r[0], [r[1], r[2], r[3], r[4], r[5]])).collect::<Vec<_>>();
    let differences: Vec<_> = differences(&theirs, &ours);
    let names = |sign: &str| {
        let rows = differences.iter().filter_map(|row| row.strip_prefix(sign));
        rows.map(|row| row.split(" | ").take(3).collect::<Vec<_>>().join(" | ")).collect::<Vec<_>>()
    };
    // nothing but names, with the rest of the row as it was
    let rest = |sign: &str| {
        let rows = differences.iter().filter_map(|row| row.strip_prefix(sign));
        rows.map(|row| row.split(" | ").skip(3).collect::<Vec<_>>().join(" | ")).collect::<Vec<_>>()
    };
    assert_eq!(rest("- "), rest("+ "));
    let want = [
        // IANA has no name (any more): its former one, else a word of our own
        ("51 | both | ", "51 | both | imp-addr"),
        ("57 | both | ", "57 | both | private-term"),
        ("61 | both | ", "61 | both | ni-mail"),
        // one name a port, in the form of ours
        ("71-74 | both | netrjs-1..netrjs-4", "71-74 | both | netrjs-1/netrjs-2/netrjs-3/netrjs-4"),
        ("75 | both | ", "75 | both | private-dialout"),
        ("77 | both | ", "77 | both | private-rje"),
        ("87 | both | ", "87 | both | private-link"),
        // the list's own name, which is another than IANA's: an alias
        ("370 | both | codaauth2", "370 | both | securecast1"),
        ("831 | both | ", "831 | both | netconf-beep"),
        ("832 | both | ", "832 | both | netconfsoaphttp"),
        ("833 | both | ", "833 | both | netconfsoapbeep"),
    ];
    assert_eq!(names("- "), want.map(|(theirs, _)| theirs));
    assert_eq!(names("+ "), want.map(|(_, ours)| ours));
}

#[test]
fn the_tables_are_as_their_readme_says() {
    let readme = include_str!("../data/README.md");
    let strong = include_str!("../data/strong.tsv");
    let pairs = include_str!("../data/pairs.tsv");
    for (file, table) in
        [("services", SERVICES), ("overlay", OVERLAY), ("strong", strong), ("pairs", pairs), ("seed", SEED)]
    {
        let count = rows(table).len();
        let count = if count < 1_000 { count.to_string() } else { format!("{},{:03}", count / 1_000, count % 1_000) };
        assert!(readme.contains(&format!("| `{file}.tsv` | {count} |")), "{file}: {count}");
        let columns: Vec<_> = table.lines().next().expect("columns").split('\t').collect();
        let section = readme.split("\n## ").find(|part| part.starts_with(&format!("{file}.tsv"))).expect("a section");
        // every column is named, in order
        let mut rest = section;
        for column in columns {
            let (_, behind) = rest.split_once(&format!("`{column}`")).unwrap_or_else(|| panic!("{file}: {column}"));
            rest = behind;
        }
    }
    let mut actions = BTreeMap::<_, usize>::new();
    for row in rows(OVERLAY) {
        *actions.entry(row[4]).or_default() += 1;
    }
    assert_eq!(actions.len(), 5);
    for (action, count) in actions {
        assert!(readme.contains(&format!("| `{action}` | {count} |")), "{action}: {count}");
    }
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/rebuild.py").is_file());
}
