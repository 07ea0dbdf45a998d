/// What a reading of a log comes to: a verdict, with its reason, on records, identity and both chains.

internal import VarveModel
internal import VarveStorage

extension LogReading {
    func findings() -> [LogVerification.Finding] {
        [recordsFinding, identityFinding, inputFinding, effectFinding]
    }

    private var recordsFinding: Finding {
        if let damage { return Finding(.records, .refuted, damage) }
        if count == 0 { return Finding(.records, .notCheckable, "the log holds no record") }
        let others = foreign == 0 ? "" : ", \(foreign) of them foreign"
        return Finding(.records, .proved, "\(count) records\(others): every checksum fits")
    }

    private var identityFinding: Finding {
        switch recorded {
        case .unknown(let why): return Finding(.identity, .notCheckable, why)
        case .elsewhere(let recorded, let configured):
            return Finding(
                .identity, .refuted,
                "LOG_REPLACED: the configuration names \(configured.kind) \(configured.topic) (\(configured.clusterID)), "
                    + "storage belongs to \(recorded.kind) \(recorded.topic) (\(recorded.clusterID))")
        case .known: break
        }
        if let mismatch { return Finding(.identity, .refuted, mismatch) }
        // What storage names and the log should still hold.
        if let missing = points.keys.filter({ range.contains($0.offset) }).min() {
            return Finding(
                .identity, .refuted,
                "\(points[missing]?.source ?? "storage") names a record at \(missing), the log holds none")
        }
        var proof: [String] = []
        if isGenesisHeld { proof.append("the genesis") }
        if pointsHeld > 0 { proof.append("\(pointsHeld) records that blocks name") }
        guard !proof.isEmpty else {
            return Finding(.identity, .notCheckable, "every record that storage names has expired")
        }
        return Finding(.identity, .proved, "the log holds \(proof.joined(separator: " and "))")
    }

    private var behind: String { behindBlocks == 0 ? "" : "; \(behindBlocks) records behind it are in no block yet" }

    private var inputFinding: Finding {
        if let chainFault { return Finding(.inputChain, .refuted, chainFault) }
        if let chainUntold { return Finding(.inputChain, .notCheckable, chainUntold) }
        if let next = pending.first {
            return Finding(
                .inputChain, .refuted,
                "the log \(damage == nil ? "ends" : "cannot be read up to") "
                    + "\(damage == nil ? "before " : "")\(next.manifest.last), the end of block \(next.manifest.number)"
            )
        }
        return Finding(
            .inputChain, .proved,
            "from \(base) through \(Self.blocks(chained)) up to \(chainEnd.map { "\($0)" } ?? "")\(behind)")
    }

    private var effectFinding: Finding {
        if let replayFault { return Finding(.effectChain, .refuted, replayFault) }
        if let replayUntold { return Finding(.effectChain, .notCheckable, replayUntold) }
        guard let replay, !replay.agreed.isEmpty else {
            return Finding(.effectChain, .notCheckable, "the records before the first block's end are not all there")
        }
        guard replay.agreed.last == chained.last else {
            return Finding(
                .effectChain, .refuted,
                "replayed, \(Self.blocks(replay.agreed)) agree, and no block ends where \(chained.last.map { "block \($0)" } ?? "the next") does"
            )
        }
        return Finding(
            .effectChain, .proved,
            "replayed from \(base): \(Self.blocks(replay.agreed)) agree in effects and counts\(skipped(replay))")
    }

    private func skipped(_ replay: LogReplay) -> String {
        replay.quarantined.isEmpty
            ? "" : "; quarantined, so skipped: \(replay.quarantined.map { "\($0)" }.joined(separator: ", "))"
    }

    private static func blocks(_ numbers: [BlockNumber]) -> String {
        guard let first = numbers.first, let last = numbers.last else { return "no block" }
        return first == last ? "block \(first)" : "blocks \(first) to \(last)"
    }
}
