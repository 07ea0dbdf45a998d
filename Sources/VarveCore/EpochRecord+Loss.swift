/// What the record of an epoch says about the loss at the end of the one before it.

package import VarveModel

extension EpochRecord {
    /// Transactions that were given up and could be counted; nil when nobody can know.
    package var unindexedLost: Int? {
        if began == .sealed || reason == StartUp.byConfiguration { return 0 }
        guard let way = reason.split(separator: ":").first, EpochPlan.Way(rawValue: String(way)) != nil,
            !reason.contains("records that nothing held"), !reason.contains("not known")
        else { return nil }
        return reason.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }
}
