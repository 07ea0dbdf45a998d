/// Shapes and text, one after the other, with the style sheet of our drawings. Coordinates are rounded to tenths.

struct SVGPage {
    private var parts: [String] = []

    private static let style = """
        :root { --back: #ffffff; --text: #1f2328; --soft: #59636e; --grid: #d1d9e0; --acks: #0969da; --seal: #bc4c00;
          --mark: #59636e; --n0: #1a7f37; --n1: #8250df; --n2: #9a6700; }
        @media (prefers-color-scheme: dark) { :root { --back: #0d1117; --text: #f0f6fc; --soft: #9198a1; --grid: #3d444d;
          --acks: #4493f8; --seal: #f0883e; --mark: #9198a1; --n0: #3fb950; --n1: #ab7df8; --n2: #d29922; } }
        text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--text); }
        .back { fill: var(--back); } .title { font-size: 20px; font-weight: 600; } .note { font-size: 13px; fill: var(--soft); }
        .head { font-size: 14px; font-weight: 600; } .tick { font-size: 11px; fill: var(--soft); }
        .middle { text-anchor: middle; } .end { text-anchor: end; }
        .grid { stroke: var(--grid); stroke-width: 1; } .acks { fill: var(--acks); fill-opacity: 0.35; stroke: var(--acks); }
        .bar { fill: var(--acks); fill-opacity: 0.6; } .chosen { fill: var(--seal); fill-opacity: 0.8; }
        .seal { stroke: var(--seal); stroke-width: 1.2; } .sealText { fill: var(--seal); font-weight: 600; }
        .mark { stroke: var(--mark); stroke-width: 1; stroke-dasharray: 3 2; } .markText { fill: var(--text); }
        .limit { stroke: var(--seal); stroke-width: 1; stroke-dasharray: 5 3; } .limitText { fill: var(--seal); }
        .node0, .fill0 { fill: var(--n0); } .node1, .fill1 { fill: var(--n1); } .node2, .fill2 { fill: var(--n2); }
        .tick0 { stroke: var(--n0); } .tick1 { stroke: var(--n1); } .tick2 { stroke: var(--n2); }
        .tick0, .tick1, .tick2 { stroke-opacity: 0.5; }
        """

    init(width: Double, height: Double) {
        let (width, height) = (Self.number(width), Self.number(height))
        parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)">
            """, "<style>\(Self.style)</style>", "<rect class=\"back\" width=\"\(width)\" height=\"\(height)\"/>",
        ]
    }

    var finished: String { (parts + ["</svg>", ""]).joined(separator: "\n") }

    mutating func text(_ x: Double, _ y: Double, _ text: String, _ style: String) {
        let escaped = text.flatMap { character -> String in
            switch character {
            case "<": "&lt;"
            case "&": "&amp;"
            default: String(character)
            }
        }
        parts.append(
            "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" class=\"\(style)\">\(String(escaped))</text>")
    }

    mutating func line(_ x: Double, _ y: Double, _ toX: Double, _ toY: Double, _ style: String) {
        parts.append(
            "<line x1=\"\(Self.number(x))\" y1=\"\(Self.number(y))\" x2=\"\(Self.number(toX))\" y2=\"\(Self.number(toY))\" "
                + "class=\"\(style)\"/>")
    }

    mutating func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String) {
        parts.append(
            "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\" "
                + "height=\"\(Self.number(max(0, height)))\" class=\"\(style)\"/>")
    }

    mutating func circle(_ x: Double, _ y: Double, _ radius: Double, _ style: String) {
        parts.append(
            "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"\(Self.number(radius))\" class=\"\(style)\"/>"
        )
    }

    /// What is below a line of points.
    mutating func area(_ points: [(Double, Double)], base: Double, _ style: String) {
        guard let first = points.first, let last = points.last else { return }
        let all = [(first.0, base)] + points + [(last.0, base)]
        let text = all.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
        parts.append("<polygon points=\"\(text)\" class=\"\(style)\"/>")
    }

    private static func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        let sign = tenths < 0 ? "-" : ""
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(sign)\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }
}
