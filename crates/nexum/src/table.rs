//! Results for people: columns, each as wide as its widest cell.

/// Rows under a head, two spaces between the columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = rows
        .iter()
        .map(|row| row.iter().map(String::as_str).collect());
    let all: Vec<Vec<&str>> = std::iter::once(head.to_vec()).chain(cells).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:width$}  "))
            .collect();
        format!("{}\n", line.trim_end())
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [
            vec!["äöü".to_owned(), "1".to_owned()],
            vec!["b".to_owned(), "23".to_owned()],
        ];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME  N\näöü   1\nb     23\n");
    }
}
