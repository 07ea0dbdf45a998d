/// The JSON answer of a query. A server streams it in pieces; a client reads it whole.

package import VarveModel

package struct QueryAnswer: Sendable {
    package struct Column: Sendable, Equatable {
        package var name: String
        /// `integer`, `real`, `text`, `blob`, `timestamp`, `boolean` or `any`.
        package var type: String

        package init(name: String, type: String) {
            self.name = name
            self.type = type
        }
    }

    /// What is known when the last row is out.
    package struct End: Sendable, Equatable {
        /// The applied position at which was read.
        package var position: Position
        package var token: Token
        /// What the `asOf` of the request came to.
        package var asOf: Position?
        package var elapsedMilliseconds: Double

        package init(position: Position, token: Token, asOf: Position?, elapsedMilliseconds: Double) {
            self.position = position
            self.token = token
            self.asOf = asOf
            self.elapsedMilliseconds = elapsedMilliseconds
        }
    }

    package var columns: [Column]
    package var rows: [[Value]]
    package var end: End

    package init(columns: [Column], rows: [[Value]], end: End) {
        self.columns = columns
        self.rows = rows
        self.end = end
    }
}

extension QueryAnswer {
    /// Throws what the answer broke off with, too.
    package init(json: Value) throws(VarveError) {
        if let error = json["error"] { throw try Problem(json: error).error }
        var fields = try WireFields(json, .answer)
        columns = []
        for var column in try fields.objects("columns") {
            columns.append(Column(name: try column.text("name"), type: try column.text("type")))
        }
        rows = []
        for row in try fields.list("rows") {
            guard let values = row.asArray, values.count == columns.count else {
                throw fields.fault("a row must have a value for each column", "rows")
            }
            rows.append(values)
        }
        let position = try fields.position("position")
        end = End(
            position: position,
            token: try fields.optionalToken("token") ?? Token(position: position, chainPrefix: nil),
            asOf: try fields.optionalPosition("asOf"), elapsedMilliseconds: try fields.number("elapsedMs"))
    }

    package var json: Value {
        .object(
            [
                Value.Field("columns", .array(columns.map(\.json))),
                Value.Field("rows", .array(rows.map { .array($0) })),
            ] + end.jsonFields)
    }
}

extension QueryAnswer.Column {
    package var json: Value { .fields(["name": .text(name), "type": .text(type)]) }
}

extension QueryAnswer.End {
    package var jsonFields: [Value.Field] {
        // Microseconds are enough; more digits would only be noise.
        let rounded = (elapsedMilliseconds * 1000).rounded() / 1000
        var fields = [Value.Field("position", .text(of: position)), Value.Field("token", .text(of: token))]
        if let asOf { fields.append(Value.Field("asOf", .text(of: asOf))) }
        fields.append(Value.Field("elapsedMs", .double(rounded)))
        return fields
    }
}
