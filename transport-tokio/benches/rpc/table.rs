//! What was measured, as medians.

/// All rounds of all rows, in the order in which they were first noted.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    transport: String,
    work: String,
    unit: &'static str,
    raw: Vec<f64>,
    calls: Vec<f64>,
}

impl Table {
    pub(crate) fn note(
        &mut self,
        transport: &str,
        work: &str,
        unit: &'static str,
        raw: Option<f64>,
        calls: f64,
    ) {
        let known = self.rows.iter().position(|row| row.transport == transport && row.work == work);
        let row = known.unwrap_or_else(|| {
            let (transport, work) = (transport.to_owned(), work.to_owned());
            self.rows.push(Row { transport, work, unit, raw: Vec::new(), calls: Vec::new() });
            self.rows.len() - 1
        });
        self.rows[row].raw.extend(raw);
        self.rows[row].calls.push(calls);
    }

    pub(crate) fn print(&self) {
        println!("{:5} {:32} {:>12} {:>12} {:8} {:>6}", "", "", "raw", "calls", "", "ratio");
        for row in &self.rows {
            let (raw, ratio) = match row.floor() {
                Some((raw, ratio)) => (format!("{raw:.0}"), format!("{ratio:.2}")),
                None => ("–".to_owned(), String::new()),
            };
            let calls = median(row.calls.iter().copied());
            println!("{:5} {:32} {raw:>12} {calls:>12.0} {:8} {ratio:>6}", row.transport, row.work, row.unit);
        }
        for row in &self.rows {
            let floor = row.floor().map(|(raw, ratio)| format!(r#","raw":{raw:.1},"ratio":{ratio:.3}"#));
            println!(
                r#"{{"transport":"{}","work":"{}","unit":"{}","rounds":{},"calls":{:.1}{}}}"#,
                row.transport,
                row.work,
                row.unit,
                row.calls.len(),
                median(row.calls.iter().copied()),
                floor.unwrap_or_default(),
            );
        }
    }
}

impl Row {
    /// Raw, and calls in terms of it round by round.
    fn floor(&self) -> Option<(f64, f64)> {
        let ratios = self.calls.iter().zip(&self.raw).map(|(calls, raw)| calls / raw);
        (!self.raw.is_empty()).then(|| (median(self.raw.iter().copied()), median(ratios)))
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
