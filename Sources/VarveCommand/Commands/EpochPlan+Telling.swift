// What `varve epoch plan` says of a plan, for people and for programs: what is safe, recoverable, lost and unknown, and the
// commands that go on, best first.

import VarveCore
import VarveModel
import VarveTerminal

extension EpochPlan.Submission {
    var json: Value {
        [
            "id": .text(id.description), "position": .text(position.description),
            "outcome": .text(of: outcome?.description),
        ]
    }
}

extension EpochPlan {
    var json: Value {
        var fields: [Value.Field] = [
            .init("database", .text(database.uuidText)), .init("epoch", .integer(Int64(epoch.number))),
            .init("log", .text(log.place)), .init("digest", .text(digest)),
            .init("safe", .text(safe.position.description)),
            .init("block", safe.block.map { .integer(Int64($0.value)) } ?? .null),
            .init("recoverable", .text(recoverable.description)), .init("rest", .text(restName)),
            .init("submissions", .array(submissions.map(\.json))),
            .init("gone", gone.map { .integer($0.records) } ?? .integer(0)), .init("certain", .bool(isCertain)),
            .init("unknown", .text(unknown)),
            .init("alive", .array(peers.filter(\.isAlive).map { .text($0.node) })),
        ]
        if let reason = restReason { fields.append(.init("reason", .text(reason.description))) }
        return .object(fields)
    }

    private var restName: String {
        switch rest {
        case .none: "none"
        case .whole: "whole"
        case .broken: "broken"
        case .sealed: "sealed"
        }
    }

    /// Whether the log may be whole, somewhere.
    private var isOutOfReach: Bool { restReason?.code == .logUnreachable }

    private var restReason: VarveError? {
        switch rest {
        case .none(let error), .broken(_, let error): error
        case .whole, .sealed: nil
        }
    }

    private static func spoken(_ submissions: [Submission]) -> String {
        submissions.count == 1 ? "1 transaction" : "\(Quantity.count(submissions.count)) transactions"
    }

    /// What may have been acknowledged and cannot be counted.
    private var unknown: String {
        var parts = [hole].compactMap { $0 }
        if !isCertain { parts.append("what was acknowledged behind \(seen), in the seconds before the nodes ended") }
        return parts.isEmpty ? "nothing: every node said where it stopped" : parts.joined(separator: "; ")
    }

    /// A local log does not open with damage in it, though only some of it is.
    private var isUnreadable: Bool {
        guard case .none(let error) = rest else { return false }
        return error.code == .logCorrupt
    }

    /// Before anything is given up: a log that holds less than storage, or another database's records, may just be the wrong
    /// one.
    private var rightLogFirst: [String] {
        guard let code = restReason?.code, [.logBehind, .logReplaced, .logMissing, .logDiverged].contains(code) else {
            return []
        }
        return [
            "is it the right log? Of another broker, cluster, topic or directory it looks just like this. Then nothing is "
                + "lost: correct the section log (and storage.path), and start the nodes. Only when \(log.place) is the log "
                + "that this storage was written from:"
        ]
    }

    func lines(_ path: String) -> [String] {
        var lines = [
            "epoch \(epoch), \(log.place)",
            "safe         everything up to \(safe.position)"
                + (safe.block.map { ", in blocks up to \($0)" } ?? " (no block yet)"),
        ]
        switch rest {
        case .none(let error): lines.append("recoverable  nothing more: \(error.code): \(error.message)")
        case .whole(let piece, let end):
            lines.append(
                piece.submissions.isEmpty
                    ? "recoverable  the log is whole up to \(end.position); no transaction stands behind the blocks"
                    : "recoverable  \(Self.spoken(piece.submissions)) up to \(end.position), from the log "
                        + "itself, which is whole")
        case .broken(let piece, let error):
            lines.append(
                "recoverable  \(Self.spoken(piece.submissions)) up to "
                    + "\(piece.last?.description ?? "nothing"), each by itself: \(error.code)")
        case .sealed(let position, let seal):
            lines.append(
                "sealed       at \(position), goes on in \(seal.log.place): start the nodes, they cross by themselves")
        }
        if let gone {
            lines.append(
                "known lost   up to \(gone.records) records behind \(gone.from), up to \(gone.to): nodes had applied them, "
                    + (isUnreadable
                        ? "and those behind the damage may be whole in the log's files, which this version cannot read "
                            + "there: keep a copy of them"
                        : isOutOfReach ? "and they cannot be read now" : "nothing holds them"))
        } else {
            lines.append("known lost   nothing")
        }
        lines.append("unknown      " + unknown)
        let alive = peers.filter(\.isAlive).map(\.node)
        if !alive.isEmpty { lines.append("alive        \(alive.joined(separator: " "))") }
        lines.append("digest       \(digest)")
        if case .sealed = rest { return lines }
        guard alive.isEmpty else { return lines + ["next: stop all nodes, then varve epoch plan --config \(path)"] }
        if isOutOfReach {
            lines.append(
                "its cluster does not answer. Nothing is lost while it is only away: bring it back and start the nodes "
                    + "(docs/runbooks/kafka-down.md). Only when it is gone for good:")
        } else {
            lines += rightLogFirst + ["next, best first:"]
        }
        // What nothing holds any more is lost by every way.
        let accepting = losesSomething(by: .salvage) ? " --accept-loss \(digest)" : ""
        if case .whole = rest {
            lines.append(
                "  varve epoch bump --splice\(accepting) --config \(path)     keeps the old log and reads its rest in place"
            )
        }
        if !submissions.isEmpty {
            lines.append(
                "  varve epoch bump --salvage\(accepting) --config \(path)    appends the rest to the new log, with its ids"
            )
        }
        lines.append(
            "  varve epoch bump --drop --accept-loss \(digest) --config \(path)"
                + (submissions.isEmpty
                    ? "" : "    gives up \(Self.spoken(submissions)); which: varve epoch plan --json"))
        return lines
    }
}
