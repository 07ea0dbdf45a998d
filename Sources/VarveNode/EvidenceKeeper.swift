/// Keeps what proves a divergence in the node's own directory: both manifests and a text that says what to do.
///
/// Kept for whoever looks for the defect: nothing reads it again, and a restart does not wait for it.

internal import VarveIO
internal import VarveIndexing
internal import VarveModel

enum EvidenceKeeper {
    /// Returns the directory; nil when nothing could be written there, which must not hide the divergence itself.
    static func keep(_ evidence: DivergenceEvidence, in directory: String) -> String? {
        let place = Directory.join(directory, "divergence-block-\(evidence.own.number)")
        do throws(IOError) {
            try Directory.create(place)
            try write(evidence.own.encoded(), "own-manifest.cbor", place)
            if let published = evidence.published {
                try write(published.encoded(), "published-manifest.cbor", place)
            }
            try write(Bytes(text(evidence)), "README.txt", place)
            return place
        } catch {
            return nil
        }
    }

    private static func write(_ bytes: Bytes, _ name: String, _ place: String) throws(IOError) {
        let path = Directory.join(place, name)
        try bytes.withUnsafeBytes { raw throws(IOError) in
            try FileSystem.replace(path, with: raw, temporary: path + ".tmp")
        }
    }

    private static func text(_ evidence: DivergenceEvidence) -> String {
        let own = evidence.own
        var lines = [
            "\(evidence.error.code): \(evidence.error.message)", "",
            "node       \(evidence.node), which stood at \(evidence.token)",
            "block      \(own.number), from \(own.first) to \(own.last)", "",
            "            here                              in storage",
        ]
        func row(_ name: String, _ value: (Manifest) -> String) {
            let here = value(own)
            let there = evidence.published.map(value) ?? "not read"
            let mark = here == there ? " " : "*"
            lines.append(
                "\(mark) \(name)\(pad(10 - name.count))\(here)\(pad(34 - here.count))\(there)")
        }
        row("last") { $0.last.description }
        row("H") { $0.inputChain.shortHex }
        row("E") { $0.effectChain.description }
        row("records") { "\($0.counts.records)" }
        row("decided") { "\($0.counts.transactions)" }
        row("rows") { "\($0.counts.rows)" }
        row("bytes") { "\($0.counts.bytes)" }
        row("cut") { $0.cut.description }
        lines += [
            "",
            "What to do: docs/runbooks/divergence.md. In short: keep this directory and the log lines of all nodes; see",
            "which node differs from the others (varve status, the column effect chain); start this node again, it",
            "follows the published blocks; report it.", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func pad(_ count: Int) -> String { String(repeating: " ", count: max(1, count)) }
}
