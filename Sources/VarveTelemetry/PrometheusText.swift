/// The text format: how names, labels, numbers and help are written. Knows nothing of where values come from.
struct PrometheusText {
    var out = ""

    mutating func begin(_ name: String, kind: String, help: String) {
        out += "# HELP \(name) \(escape(help, quotes: false))\n# TYPE \(name) \(kind)\n"
    }

    mutating func sample(_ name: String, _ labels: MetricLabels, _ value: Double) {
        out += name
        if !labels.isEmpty {
            out += "{"
            for (index, label) in labels.sorted(by: { $0.key < $1.key }).enumerated() {
                out += "\(index > 0 ? "," : "")\(label.key)=\"\(escape(label.value, quotes: true))\""
            }
            out += "}"
        }
        out += " \(number(value))\n"
    }

    /// Buckets are cumulative in the text; the infinite one is the count.
    mutating func histogram(_ name: String, _ labels: MetricLabels, _ state: Histogram.State) {
        var below: UInt64 = 0
        for (index, count) in state.counts.enumerated() {
            below += count
            var labels = labels
            labels["le"] = index < state.bounds.count ? number(state.bounds[index]) : "+Inf"
            sample("\(name)_bucket", labels, Double(below))
        }
        sample("\(name)_sum", labels, state.sum)
        sample("\(name)_count", labels, Double(below))
    }

    private func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        // Whole numbers that a Double holds exactly are written without a fraction.
        if value == value.rounded(), abs(value) < 9_007_199_254_740_992 { return String(Int64(value)) }
        return "\(value)"
    }

    private func escape(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
