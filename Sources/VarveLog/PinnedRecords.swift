/// What a handle has read of a log: the earliest and the newest record. Enough to notice, when they are read again, that the
/// log is another one by now, or has lost its end.

package import VarveModel

package struct PinnedRecords: Sendable {
    package struct Pin: Sendable, Equatable {
        package let offset: Int64
        package let time: Int64
        package let value: [UInt8]

        package init(offset: Int64, time: Int64, value: [UInt8]) {
            self.offset = offset
            self.time = time
            self.value = value
        }
    }

    package private(set) var earliest: Pin?
    package private(set) var newest: Pin?

    package init() {}

    /// Notes a batch by its first and last record.
    package mutating func note(first: Int64, last: Int64, _ pin: (Int64) -> Pin) {
        if earliest.map({ first < $0.offset }) ?? true { earliest = pin(first) }
        if newest.map({ last >= $0.offset }) ?? true { newest = pin(last) }
    }

    package enum Verdict: Sendable {
        case same
        /// Nothing that was seen is still held: neither proved nor refuted.
        case notCheckable
        case other(VarveError)
    }

    /// Reads the pinned records again. Throws when the log does not answer: then nothing is known.
    /// - Parameters:
    ///   - name: of the log, for messages.
    ///   - read: the record at just this offset.
    package func check(
        _ name: String, range: () async throws(VarveError) -> Range<Int64>,
        read: (Int64) async throws(VarveError) -> Pin?
    ) async throws(VarveError) -> Verdict {
        guard let earliest, let newest else { return .notCheckable }
        let range = try await range()
        var proved = false
        for pin in earliest == newest ? [earliest] : [earliest, newest] where range.contains(pin.offset) {
            guard try await read(pin.offset) == pin else {
                // Replaced wholly, or cut and written anew behind a common start.
                let code: ErrorCode = pin == earliest ? .logReplaced : .logDiverged
                return .other(
                    VarveError(
                        code,
                        "\(name) holds another record at offset \(pin.offset) than the one read before: it was "
                            + (pin == earliest ? "deleted and made anew" : "cut and written anew")
                            + ". Everything in storage is safe",
                        next: "see docs/runbooks/log-\(pin == earliest ? "replaced" : "diverged").md"))
            }
            proved = true
        }
        if newest.offset >= range.upperBound {
            return .other(Self.behind(name, end: range.upperBound, seen: newest.offset))
        }
        return proved ? .same : .notCheckable
    }

    package static func behind(_ name: String, end: Int64, seen: Int64) -> VarveError {
        VarveError(
            .logBehind,
            "\(name) ends at offset \(end), offset \(seen) was read or asked for. Everything in storage is safe; "
                + "records after its end, if any, are not in this log",
            next: "see docs/runbooks/log-behind-storage.md")
    }
}
