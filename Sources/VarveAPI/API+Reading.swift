/// Reads by key, the list of tables, and the waiting that all reads share.

import VarveHTTPServer
import VarveIndexing
import VarveModel
import VarveNode
import VarveWire

extension API {
    /// Waits for what a reader asks for.
    func view(_ parameters: Parameters) async throws(VarveError) -> ReadView {
        try await node.read(try options(try ReadParameters(query: parameters.pairs)))
    }

    func options(_ read: ReadParameters) throws(VarveError) -> ReadOptions {
        let limits = node.configuration.query
        if let timeout = read.timeout, timeout > limits.maxTimeout {
            throw VarveError(
                .badRequest, "timeout is above \(isoText(of: limits.maxTimeout)) (query.maxTimeout)", at: "/timeout")
        }
        return ReadOptions(after: read.after, asOf: read.asOf, timeout: read.timeout ?? limits.timeout)
    }

    private func key(_ text: String, _ parameters: Parameters) throws(VarveError) -> Key {
        switch parameters["idType"] {
        case nil, "text":
            guard let key = Key(text) else {
                throw VarveError(.badRequest, "an id has 1 to 1,024 bytes", at: "/v1/tables/{table}/rows/{id}")
            }
            return key
        case "integer":
            let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int64(text)
            else {
                throw VarveError(.badRequest, "\"\(text)\" is no int64", at: "/v1/tables/{table}/rows/{id}")
            }
            return Key(number)
        default: throw VarveError(.badRequest, "idType must be integer or text", at: "?idType")
        }
    }

    func row(_ table: String, _ id: String, _ parameters: Parameters) async throws(VarveError) -> Response {
        let table = try TableName(table)
        let key = try key(id, parameters)
        let view = try await view(parameters)
        guard let row = try view.get(table, key), let document = row.document else {
            return failed(missing(table, key, view), view.headers)
        }
        var writer = JSONWriter(reservingCapacity: document.count * 2 + 64)
        do throws(CBORFault) {
            try writer.document(key, Document(document))
        } catch {
            throw unreadable(table, key, error)
        }
        return .json(
            writer.bytes,
            view.headers + [
                (WireHeader.version, row.position.description), (WireHeader.systemFrom, row.systemFrom.description),
            ])
    }

    func history(_ table: String, _ id: String, _ parameters: Parameters) async throws(VarveError) -> Response {
        let table = try TableName(table)
        let key = try key(id, parameters)
        let limit = try parameters.integer("limit", 1...HistoryAnswer.limitMax) ?? HistoryAnswer.limitDefault
        let view = try await view(parameters)
        var versions: [HistoryAnswer.Version] = []
        for row in try view.history(table, key, limit: limit) {
            var document: Value?
            if let bytes = row.document {
                do throws(CBORFault) {
                    document = try Document(bytes).value(key: key)
                } catch {
                    throw unreadable(table, key, error)
                }
            }
            versions.append(
                HistoryAnswer.Version(
                    version: row.position, systemFrom: row.systemFrom, systemTo: row.systemTo, document: document))
        }
        guard !versions.isEmpty else { return failed(missing(table, key, view), view.headers) }
        return .json(HistoryAnswer(versions: versions).json, view.headers)
    }

    private func missing(_ table: TableName, _ key: Key, _ view: ReadView) -> VarveError {
        VarveError(.notFound, "\(table)/\(key) does not exist at \(view.readPosition)")
    }

    private func unreadable(_ table: TableName, _ key: Key, _ fault: CBORFault) -> VarveError {
        VarveError(.internal, "the stored document \(table)/\(key) cannot be read: \(fault)")
    }

    func tables(_ parameters: Parameters) async throws(VarveError) -> Response {
        let view = try await view(parameters)
        let tables = try view.tables()
            .map { TablesAnswer.Table(name: $0.name.text, rows: $0.rows, columns: $0.columns) }
        return .json(TablesAnswer(tables: tables).json, view.headers)
    }
}
