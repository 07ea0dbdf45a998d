// `varve get`: a document, as it is, as it was, or all its versions.

import VarveClient
import VarveModel
import VarveTerminal
import VarveWire

struct GetCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        let table = try TableName(invocation[Parameters.tableName]).text
        let key = try key()
        let read = ReadParameters(asOf: invocation[Parameters.asOf], after: invocation[Parameters.after])
        let waiting = Waiting(surroundings)
        let client = try invocation.client(waiting)
        let what = invocation.awaited
        if invocation[Parameters.history] {
            let limit = invocation[Parameters.versions]
            let answer = try await waiting.during(what) { try await client.history(table, key, limit: limit, read) }
            guard !answer.versions.isEmpty else { return try missing(table, key) }
            try show(answer)
            return .success
        }
        guard let found = try await waiting.during(what, { try await client.get(table, key, read) }) else {
            return try missing(table, key)
        }
        try show(found)
        return .success
    }

    private func key() throws -> Key {
        let text = invocation[Parameters.documentID]
        if invocation[Parameters.integerID] {
            guard let number = Int64(text) else {
                throw Failure("Error: \(text) is no integer of 64 bits, and --int was given", .usage)
            }
            return Key(number)
        }
        guard let key = Key(text) else {
            throw Failure("Error: an _id has 1 to \(Key.textBytesMax) bytes", .usage)
        }
        return key
    }

    private func missing(_ table: String, _ key: Key) throws -> ExitCode {
        let hint = Int64(key.description) != nil && !invocation[Parameters.integerID] ? "; next: try --int" : ""
        throw Failure("NOT_FOUND: \(table) has no document \(key)\(hint)", .failure)
    }

    private func show(_ found: FoundDocument) throws {
        guard invocation[Parameters.json] else {
            try surroundings.output.write(found.json.last == 0x0a ? found.json : found.json + [0x0a])
            return
        }
        let document: Value
        do throws(JSONFault) {
            document = try parseJSON(Bytes(found.json))
        } catch {
            throw VarveError(.internal, "the document is no JSON: \(error.reason)")
        }
        try surroundings.output.json([
            "version": .text(of: found.version), "position": .text(of: found.position), "token": .text(of: found.token),
            "doc": document,
        ])
    }

    private func show(_ answer: HistoryAnswer) throws {
        guard !invocation[Parameters.json] else {
            try surroundings.output.json(answer.json)
            return
        }
        var table = Table([.init("version"), .init("from"), .init("to"), .init("document", .left)])
        table.rows = answer.versions.map { version in
            [
                version.version.description, version.systemFrom.description,
                version.systemTo?.description ?? "", version.document?.json ?? "deleted",
            ]
        }
        try surroundings.output.write(table.render(width: surroundings.width, palette: surroundings.palette))
    }
}

extension Value {
    static func text(of value: (some CustomStringConvertible)?) -> Value {
        value.map { .text($0.description) } ?? .null
    }
}
