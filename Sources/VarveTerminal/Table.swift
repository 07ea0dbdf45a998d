/// Rows and columns for a person: numbers to the right, no wider than the terminal, nothing of the data obeyed by it.
package struct Table: Sendable {
    package enum Alignment: Sendable {
        case left, right
        /// To the right when every cell that is not empty is a number.
        case automatic
    }

    package struct Column: Sendable {
        package var title: String
        package var alignment: Alignment

        package init(_ title: String, _ alignment: Alignment = .automatic) {
            self.title = title
            self.alignment = alignment
        }
    }

    package var columns: [Column]
    package var rows: [[String]] = []

    package init(_ columns: [Column], rows: [[String]] = []) {
        self.columns = columns
        self.rows = rows
    }

    package init(_ titles: [String], rows: [[String]] = []) { self.init(titles.map { Column($0) }, rows: rows) }

    /// Columns it takes when nothing is cut.
    package var width: Int {
        let widths = columns.indices.map { index in
            rows.reduce(displayWidth(printable(columns[index].title))) {
                max($0, index < $1.count ? displayWidth(printable($1[index])) : 0)
            }
        }
        return widths.reduce(2 * max(0, columns.count - 1), +)
    }

    /// Lines with their ends. `width` nil never cuts. A row with too few cells has empty ones; more are left out.
    package func render(width: Int? = nil, palette: Palette = .plain) -> String {
        guard !columns.isEmpty else { return "" }
        let cells = rows.map { row in columns.indices.map { $0 < row.count ? printable(row[$0]) : "" } }
        let titles = columns.map { printable($0.title) }
        let rights = columns.indices.map { index in isRight(columns[index].alignment, cells.lazy.map { $0[index] }) }
        var widths = columns.indices.map { index in
            cells.reduce(displayWidth(titles[index])) { max($0, displayWidth($1[index])) }
        }
        if let width { fit(&widths, to: width) }
        var text = line(titles, widths, rights, style: palette.bold)
        text += line(widths.map { String(repeating: "─", count: $0) }, widths, rights, style: palette.dim)
        for row in cells { text += line(row, widths, rights) { $0 } }
        return text
    }

    private func line(
        _ cells: [String], _ widths: [Int], _ rights: [Bool], style: (String) -> String
    ) -> String {
        var text = ""
        for index in cells.indices {
            let cell = truncated(cells[index], to: widths[index])
            let fill = String(repeating: " ", count: max(0, widths[index] - displayWidth(cell)))
            if index > 0 { text += "  " }
            // No spaces at the end of a line.
            let isLast = index == cells.count - 1
            text += rights[index] ? fill + style(cell) : style(cell) + (isLast ? "" : fill)
        }
        return text.trimmedEnd + "\n"
    }

    private func isRight(_ alignment: Alignment, _ cells: some Sequence<String>) -> Bool {
        switch alignment {
        case .left: return false
        case .right: return true
        case .automatic:
            var numbers = 0
            for cell in cells where !cell.isEmpty && cell != "NULL" {
                guard isNumber(cell) else { return false }
                numbers += 1
            }
            return numbers > 0
        }
    }

    /// The widest columns give first; none below 4 columns, so a very narrow terminal breaks lines itself.
    private func fit(_ widths: inout [Int], to width: Int) {
        let gaps = 2 * (widths.count - 1)
        while widths.reduce(gaps, +) > width {
            guard let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > 4 else { return }
            let next = widths.filter { $0 < widths[widest] }.max() ?? 4
            let excess = widths.reduce(gaps, +) - width
            let peers = widths.count { $0 == widths[widest] }
            let step = max(1, min(widths[widest] - max(next, 4), excess / peers))
            widths[widest] -= step
        }
    }
}

private func isNumber(_ text: String) -> Bool {
    guard let last = text.utf8.last, (0x30...0x39).contains(last) else { return false }
    let bare = text.utf8.contains(0x2c) ? text.split(separator: ",").joined() : text
    return Double(bare) != nil
}
