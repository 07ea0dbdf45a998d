/// `POST /v1/query`: one SELECT, its parameters, and where in the history it is asked.

package import VarveModel

package struct QueryRequest: Sendable {
    package enum Parameters: Sendable {
        case none
        case positional([Value])
        /// Named without the mark (`:n`, `@n`, `$n`).
        case named([Value.Field])
    }

    package var sql: String
    package var parameters: Parameters
    package var read: ReadParameters

    package init(_ sql: String, parameters: Parameters = .none, read: ReadParameters = ReadParameters()) {
        self.sql = sql
        self.parameters = parameters
        self.read = read
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .request)
        sql = try fields.text("sql")
        switch fields.value("params") {
        case nil: parameters = .none
        case .array(let values): parameters = .positional(values)
        case .object(let named): parameters = .named(named)
        default: throw fields.fault("params must be an array or an object", "params")
        }
        read = try ReadParameters(&fields)
        try fields.finish()
    }

    package var json: Value {
        var params: Value?
        switch parameters {
        case .none: break
        case .positional(let values): params = .array(values)
        case .named(let named): params = .object(named)
        }
        let list = Value.fields(["sql": .text(sql), "params": params])
        guard case .object(let fields) = list else { return list }
        return .object(fields + read.query.map { Value.Field($0.name, .text($0.value)) })
    }
}
