// `varve blocks gc`: what nobody needs any more goes.

import VarveModel
import VarveRecovery
import VarveStorage
import VarveTerminal

extension BlocksCommand {
    func collectGarbage() async throws -> ExitCode {
        let isRehearsal = invocation[Parameters.showOnly]
        let store = try Composition.blocks(
            surroundings.configuration(invocation[Parameters.config]), isReader: isRehearsal, needsRoom: false)
        let collection = GarbageCollection(store, grace: invocation[Parameters.grace])
        let report = try await isRehearsal ? collection.look() : collection.run()
        if !isRehearsal { try GarbageStanding.collected(in: store) }
        if invocation[Parameters.json] {
            try surroundings.output.json(report.json(isRehearsal: isRehearsal))
        } else {
            for line in report.lines(isRehearsal: isRehearsal) {
                try surroundings.output.line(surroundings.naming(line))
            }
        }
        return .success
    }
}

extension GarbageCollection.Report {
    fileprivate func lines(isRehearsal: Bool) -> [String] {
        func bytes(_ objects: [Garbage.Object]) -> String {
            Quantity.bytes(Int(clamping: objects.reduce(0) { $0 + $1.bytes }))
        }
        var lines: [String] = []
        for object in isRehearsal ? garbage.files + garbage.nodes : removed {
            lines.append("\(isRehearsal ? "garbage" : "removed")  \(object.name)")
        }
        if isRehearsal {
            lines.append(
                "\(Quantity.count(garbage.files.count, "file")) (\(bytes(garbage.files))), \(Quantity.count(garbage.claims.count, "claim")) and "
                    + "\(Quantity.count(garbage.nodes.count, "sign")) of nodes (\(bytes(garbage.nodes))): garbage. Nothing was changed"
            )
            return lines
        }
        lines.append(
            "removed \(Quantity.count(removed.count, "file")) (\(bytes(removed))) and \(Quantity.count(garbage.claims.count, "claim"))"
        )
        if !waiting.isEmpty {
            lines.append(
                "written down: \(Quantity.count(waiting.count, "file")) (\(bytes(waiting))), to be removed after the grace; next: in "
                    + "\(Quantity.time(wait ?? .zero)): varve blocks gc --config node.yaml")
        }
        return lines
    }

    fileprivate func json(isRehearsal: Bool) -> Value {
        func list(_ objects: [Garbage.Object]) -> Value {
            .array(objects.map { ["name": .text($0.name), "bytes": .integer(Int64(clamping: $0.bytes))] })
        }
        return [
            "dryRun": .bool(isRehearsal), "files": list(garbage.files),
            "claims": .array(garbage.claims.map { .text($0) }), "nodes": list(garbage.nodes),
            "removed": list(removed), "waiting": list(waiting),
            "waitSeconds": wait.map { .integer($0.components.seconds) } ?? .null,
        ]
    }
}
