//! SQL that both databases understand, for several rows at once.

use jiff::Timestamp;
use sqlx::AnyConnection;
use std::fmt::Write as _;

/// How many rows a statement takes: only these numbers, so that there are few different statements, which the
/// connection keeps prepared.
const SIZES: [usize; 10] = [64, 32, 16, 8, 6, 5, 4, 3, 2, 1];

/// Splits rows into pieces that have one of few lengths.
pub fn pieces<T>(mut rows: &[T]) -> Vec<&[T]> {
    let mut pieces = Vec::new();
    while !rows.is_empty() {
        let size = SIZES.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let (piece, rest) = rows.split_at(size);
        pieces.push(piece);
        rows = rest;
    }
    pieces
}

/// How many pieces there are of so many rows.
pub fn statements(rows: usize) -> usize {
    pieces(&vec![(); rows]).len()
}

/// As many rows of as many columns, as the database of this connection wants them: `($1, $2), ($3, $4)`, or `(?, ?), (?, ?)`
/// for `SQLite`, to which a number is a name that it has to look for among all others.
pub fn placeholders(connection: &AnyConnection, rows: usize, columns: usize) -> String {
    rows_of(rows, columns, connection.backend_name() != "SQLite")
}

/// A list of so many, in a statement that has so many placeholders before it: `($3, $4)`, or `(?, ?)`.
pub fn list(connection: &AnyConnection, before: usize, length: usize) -> String {
    let each: Vec<_> = (before + 1..=before + length).map(|number| placeholder(connection, number)).collect();
    format!("({})", each.join(", "))
}

/// One of a statement's placeholders, which are counted from one.
pub fn placeholder(connection: &AnyConnection, number: usize) -> String {
    if connection.backend_name() == "SQLite" { "?".to_owned() } else { format!("${number}") }
}

fn rows_of(rows: usize, columns: usize, are_numbered: bool) -> String {
    let mut text = String::new();
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            text.push_str(if column == 0 { "" } else { ", " });
            if are_numbered {
                let _ = write!(text, "${}", row * columns + column + 1);
            } else {
                text.push('?');
            }
        }
        text.push(')');
    }
    text
}

/// A text from outside as it stands in the tables: PostgreSQL takes any character but one.
pub fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A time as it stands in the tables.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A time from the tables.
pub fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_count_on() {
        assert_eq!(rows_of(2, 3, true), "($1, $2, $3), ($4, $5, $6)");
        assert_eq!(rows_of(2, 3, false), "(?, ?, ?), (?, ?, ?)");
    }

    #[test]
    fn pieces_have_few_lengths_and_hold_everything() {
        let rows: Vec<_> = (0..87).collect();
        let lengths: Vec<_> = pieces(&rows).iter().map(|piece| piece.len()).collect();
        assert_eq!(lengths, [64, 16, 6, 1]);
        assert_eq!(pieces(&rows).concat(), rows);
        assert!(pieces::<u8>(&[]).is_empty());
    }
}
