//! Tables as the demonstration prints them.

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

/// A table with a header; columns after the first `text_columns` are numbers and stand to the right.
pub(crate) fn table<const N: usize>(header: [&str; N], text_columns: usize, rows: Vec<[String; N]>) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(text_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
