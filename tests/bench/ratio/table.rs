//! The table, in Markdown.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};

use crate::measure::Cost;
use crate::plan::Aim;

/// A row that was measured, or the reason why it was not.
pub struct Measured {
    pub capture: String,
    pub program: String,
    pub packets: u64,
    pub cost: Result<Cost, String>,
    /// What ratios are to: the cost of the group's first row.
    pub base: Result<Cost, String>,
    /// What is aimed at, each with what [`Aim::Beside`] is held against.
    pub aims: Vec<(Aim, Option<Cost>)>,
}

/// All rows.
pub fn table(rows: &[Measured]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["capture", "program", "wall", "ns a packet", "wall ×", "CPU ×", "memory", "at most"]);
    for column in 2..=6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(cells(row));
    }
    table
}

fn cells(row: &Measured) -> Vec<String> {
    let mut cells = vec![row.capture.clone(), row.program.clone()];
    match &row.cost {
        Err(reason) => cells.push(reason.clone()),
        Ok(cost) => {
            let times = |of: fn(&Cost) -> Duration| match &row.base {
                Ok(base) => format!("{:.2}", ratio(of(cost), of(base))),
                Err(_) => String::new(),
            };
            cells.push(duration(cost.wall));
            cells.push(per_packet(cost.wall, row.packets));
            cells.push(times(|cost| cost.wall));
            cells.push(times(|cost| cost.cpu));
            cells.push(format!("{} MiB", mebibytes(cost.peak_bytes)));
            let aims = row.aims.iter().filter_map(|(aim, beside)| told(*aim, cost, row.base.as_ref().ok(), *beside));
            cells.push(aims.collect::<Vec<_>>().join(", "));
        }
    }
    cells
}

/// An aim, and whether it is met; nothing where what it is held against could not be measured.
fn told(aim: Aim, cost: &Cost, base: Option<&Cost>, beside: Option<Cost>) -> Option<String> {
    let told = |is_met, most: String| if is_met { most } else { format!("{most} (missed)") };
    Some(match aim {
        Aim::Wall(most) => told(ratio(cost.wall, base?.wall) <= most, format!("wall {most:.1}")),
        Aim::Cpu(most) => told(ratio(cost.cpu, base?.cpu) <= most, format!("CPU {most:.1}")),
        Aim::PeakMib(most) => told(mebibytes(cost.peak_bytes) <= most, format!("{most} MiB")),
        Aim::WallMillis(most) => told(cost.wall <= Duration::from_millis(most), format!("{most} ms")),
        Aim::Beside(name, most) => {
            let ratio = ratio(cost.wall, beside?.wall);
            let verdict = if ratio <= most { "" } else { "missed: " };
            format!("{most:.1} × {name} ({verdict}{ratio:.2})")
        }
    })
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn duration(wall: Duration) -> String {
    if wall < Duration::from_millis(100) {
        format!("{:.1} ms", wall.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", wall.as_secs_f64())
    }
}

/// Nothing where there are so few packets that what they take is not seen.
fn per_packet(wall: Duration, packets: u64) -> String {
    u32::try_from(packets)
        .ok()
        .filter(|packets| *packets >= 1000)
        .map(|packets| format!("{:.0}", (wall / packets).as_nanos()))
        .unwrap_or_default()
}

/// Rounded up.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
