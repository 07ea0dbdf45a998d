/// Where a log's records end. Offsets have holes, at the end too: the marker of somebody's transaction in a topic is no record.
///
/// Nothing is delivered behind the last record while nobody writes. So who waits until it has read up to the log's end waits
/// for ever, a node that is to take the next write among them, unless it asks here first.

package import VarveModel

extension Log {
    /// Offset of the last record in `range`; nil when it holds none.
    package func lastOffset(in range: Range<Offset>) async throws(VarveError) -> Offset? {
        if let known = self as? any LogWithKnownRecords { return known.lastKnown(in: range) }
        var back: Int64 = 1
        while true {
            let from = max(range.lowerBound.value, range.upperBound.value - back)
            var found: Offset?
            var at = Offset(from)
            while at < range.upperBound, let entry = try await read(at: at), entry.offset < range.upperBound {
                found = entry.offset
                at = entry.offset.next
            }
            if found != nil || from == range.lowerBound.value { return found }
            back *= 8
        }
    }

    /// Up to where a range is delivered that is read from `start` on; `start` when nothing of it is.
    package func deliveredEnd(from start: Offset, to end: Offset) async throws(VarveError) -> Offset {
        guard start < end else { return start }
        var delivered = start
        do throws(VarveError) {
            if let last = try await lastOffset(in: start..<end) { delivered = last.next }
        } catch {
            // Whoever comes to read what is damaged is told.
            guard error.code == .logCorrupt else { throw error }
            return end
        }
        guard delivered < end else { return end }
        // Nor is what has expired, or gone, since passed over.
        let now = try await range()
        return now.lowerBound > start || now.upperBound < end ? end : delivered
    }
}

/// A log that knows what it holds without being asked over a network.
package protocol LogWithKnownRecords: Log {
    func lastKnown(in range: Range<Offset>) -> Offset?
}
