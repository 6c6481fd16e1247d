//! What was measured, as medians.

/// All rounds of all rows, in the order in which they were first noted.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

/// One kind of work, a value for each round; a floor that there is none of is empty.
pub(crate) struct Row {
    pub(crate) transport: &'static str,
    pub(crate) work: String,
    pub(crate) unit: &'static str,
    pub(crate) raw: Vec<f64>,
    pub(crate) mux: Vec<f64>,
    pub(crate) calls: Vec<f64>,
}

impl Table {
    /// Adds a round to the row of the same transport and work.
    pub(crate) fn note(&mut self, round: Row) {
        let same = |row: &&mut Row| row.transport == round.transport && row.work == round.work;
        match self.rows.iter_mut().find(same) {
            Some(row) => {
                row.raw.extend(round.raw);
                row.mux.extend(round.mux);
                row.calls.extend(round.calls);
            }
            None => self.rows.push(round),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "{:37} {:>10} {:>10} {:>10} {:8} {:>6} {:>6}",
            "", "raw", "mux", "calls", "", "/ raw", "/ mux"
        );
        for row in &self.rows {
            let shown = |value: Option<f64>, digits| match value {
                Some(value) => format!("{value:.digits$}"),
                None => "–".to_owned(),
            };
            println!(
                "{:5} {:31} {:>10} {:>10} {:>10} {:8} {:>6} {:>6}",
                row.transport,
                row.work,
                shown(median(&row.raw), 0),
                shown(median(&row.mux), 0),
                shown(median(&row.calls), 0),
                row.unit,
                shown(row.ratio(&row.raw), 2),
                shown(row.ratio(&row.mux), 2),
            );
        }
        for row in &self.rows {
            let number =
                |value: Option<f64>| value.map_or_else(|| "null".to_owned(), |value| format!("{value:.3}"));
            println!(
                r#"{{"transport":"{}","work":"{}","unit":"{}","rounds":{},"raw":{},"mux":{},"calls":{},"of_raw":{},"of_mux":{}}}"#,
                row.transport,
                row.work,
                row.unit,
                row.calls.len(),
                number(median(&row.raw)),
                number(median(&row.mux)),
                number(median(&row.calls)),
                number(row.ratio(&row.raw)),
                number(row.ratio(&row.mux)),
            );
        }
    }
}

impl Row {
    /// Calls in terms of a floor, round by round.
    fn ratio(&self, floor: &[f64]) -> Option<f64> {
        median(&self.calls.iter().zip(floor).map(|(calls, floor)| calls / floor).collect::<Vec<_>>())
    }
}

/// `None` of no values.
fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
