//! Medians over rounds, ratios within rounds, and Markdown tables of them.

use std::fmt;

use serde::Serialize;

use crate::samples::{Percentiles, median};

/// The measurements of one workload.
#[derive(Serialize)]
pub(crate) struct Section<W, M> {
    pub(crate) workload: W,
    /// Each gateway with its measurement of each round.
    pub(crate) rounds: Vec<(String, Vec<M>)>,
}

impl<W, M> Section<W, M> {
    fn of(&self, gateway: &str) -> &[M] {
        self.rounds.iter().find(|(name, _)| name == gateway).map_or(&[], |(_, rounds)| rounds)
    }

    /// The median over the rounds.
    pub(crate) fn median(&self, gateway: &str, value: impl Fn(&M) -> Option<f64>) -> Option<f64> {
        median(self.of(gateway).iter().filter_map(value))
    }

    /// The ratio to `base`: the median of the ratios within rounds, whose two values were measured under the same
    /// conditions.
    pub(crate) fn ratio(&self, gateway: &str, base: &str, value: impl Fn(&M) -> Option<f64>) -> Option<f64> {
        let pairs = self.of(gateway).iter().zip(self.of(base));
        median(pairs.filter_map(|(one, other)| Some(value(one)? / value(other)?)).filter(|ratio| ratio.is_finite()))
    }

    /// The median and its ratio to `base`, as `0.73 (1.20×)`; a dash where nothing was measured.
    pub(crate) fn with_ratio(
        &self,
        gateway: &str,
        base: Option<&str>,
        value: impl Fn(&M) -> Option<f64> + Copy,
    ) -> String {
        let Some(amount) = self.median(gateway, value) else { return "–".to_owned() };
        match base.filter(|base| *base != gateway).and_then(|base| self.ratio(gateway, base, value)) {
            Some(ratio) => format!("{} ({ratio:.2}×)", short(amount)),
            None => short(amount),
        }
    }

    /// The median over the rounds of each percentile, as `310 / 620 / 900`.
    pub(crate) fn percentiles(&self, gateway: &str, value: impl Fn(&M) -> Percentiles) -> String {
        let parts: [fn(&Percentiles) -> f64; 3] = [|times| times.p50, |times| times.p99, |times| times.p999];
        let cells = parts.map(|percentile| {
            let amount =
                self.median(gateway, |one| Some(value(one)).filter(|times| times.count > 0).map(|t| percentile(&t)));
            amount.map_or_else(|| "–".to_owned(), short)
        });
        cells.join(" / ")
    }
}

/// Formats with about three significant digits.
fn short(amount: f64) -> String {
    match amount.abs() {
        large if large >= 100.0 => format!("{amount:.0}"),
        middle if middle >= 10.0 => format!("{amount:.1}"),
        _ => format!("{amount:.2}"),
    }
}

/// A Markdown table with a row for each gateway.
pub(crate) struct Grid(Vec<Vec<String>>);

impl Grid {
    /// A table without columns yet, for all gateways of `sections`.
    pub(crate) fn of<W, M>(sections: &[Section<W, M>]) -> Self {
        let gateways = sections.first().map_or(&[][..], |section| &section.rounds);
        let head = vec!["gateway".to_owned()];
        Self(std::iter::once(head).chain(gateways.iter().map(|(name, _)| vec![name.clone()])).collect())
    }

    /// Adds a column; `cell` formats the cell of a gateway.
    pub(crate) fn column(&mut self, title: String, cell: impl Fn(&str) -> String) {
        let (head, rows) = self.0.split_at_mut(1);
        head[0].push(title);
        for row in rows {
            let cell = cell(&row[0]);
            row.push(cell);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0[0].len() == 1
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..self.0[0].len()).map(width).collect();
        let ruler: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [&self.0[0], &ruler].into_iter().chain(&self.0[1..]) {
            row.iter().zip(&widths).try_for_each(|(cell, width)| write!(f, "| {cell:<width$} "))?;
            writeln!(f, "|")?;
        }
        Ok(())
    }
}
