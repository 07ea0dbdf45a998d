/// Where in the history a read takes place and how long it may wait: fields of a query, query parameters of a GET.

package import VarveModel

package struct ReadParameters: Sendable, Equatable {
    package enum Consistency: String, Sendable { case applied, strict }

    /// Read the past.
    package var asOf: AsOf?
    /// Wait until this has been applied.
    package var after: Token?
    package var consistency: Consistency
    /// nil: what the node is configured with.
    package var timeout: Duration?

    package static let timeoutMax = Duration.seconds(600)

    package init(
        asOf: AsOf? = nil, after: Token? = nil, consistency: Consistency = .applied, timeout: Duration? = nil
    ) {
        self.asOf = asOf
        self.after = after
        self.consistency = consistency
        self.timeout = timeout
    }

    /// The names of the query parameters.
    package static let names: Set<String> = ["asOf", "after", "consistency", "timeout"]

    /// Takes the items with our names and leaves the others alone; each at most once.
    package init(query: some Sequence<(name: String, value: String)>) throws(VarveError) {
        self.init()
        var seen: Set<String> = []
        for (name, value) in query where Self.names.contains(name) {
            guard seen.insert(name).inserted else {
                throw VarveError(.badRequest, "\(name) is given twice", at: "?" + name)
            }
            switch name {
            case "asOf": asOf = try Self.asOf(value, at: "?asOf")
            case "after": after = try Self.token(value, at: "?after")
            case "consistency": consistency = try Self.consistency(value, at: "?consistency")
            default: timeout = try checkedTimeout(value, at: "?timeout")
            }
        }
    }

    package var query: [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        if let asOf { items.append(("asOf", asOf.description)) }
        if let after { items.append(("after", after.description)) }
        if consistency != .applied { items.append(("consistency", consistency.rawValue)) }
        if let timeout { items.append(("timeout", isoText(of: timeout))) }
        return items
    }

    init(_ fields: inout WireFields) throws(VarveError) {
        self.init()
        if let text = try fields.optionalText("asOf") { asOf = try Self.asOf(text, at: fields.pointer + "/asOf") }
        if let text = try fields.optionalText("after") { after = try Self.token(text, at: fields.pointer + "/after") }
        if let text = try fields.optionalText("consistency") {
            consistency = try Self.consistency(text, at: fields.pointer + "/consistency")
        }
        timeout = try fields.timeout("timeout")
    }

    private static func asOf(_ text: String, at: String) throws(VarveError) -> AsOf {
        guard let asOf = AsOf(text) else {
            throw VarveError(
                .badRequest, "asOf must be a position like 0-123 or an instant like 2026-11-21T10:00:00Z", at: at)
        }
        return asOf
    }

    private static func token(_ text: String, at: String) throws(VarveError) -> Token {
        guard let token = Token(text) else {
            throw VarveError(.badRequest, "after must be a token like 0-123-9f2c41d07a6be853 or a position", at: at)
        }
        return token
    }

    private static func consistency(_ text: String, at: String) throws(VarveError) -> Consistency {
        guard let consistency = Consistency(rawValue: text) else {
            throw VarveError(.badRequest, "consistency must be applied or strict", at: at)
        }
        guard consistency != .strict else { throw notSupported("consistency strict", at: at) }
        return consistency
    }
}

/// What the contract has and this version has not.
package func notSupported(_ what: String, at: String? = nil) -> VarveError {
    VarveError(.badRequest, "\(what) is not supported by this version", at: at)
}

/// A duration above nothing and up to `most`.
package func checkedTimeout(
    _ text: String, named name: String = "timeout", most: Duration = ReadParameters.timeoutMax, at: String
) throws(VarveError) -> Duration {
    guard let duration = duration(fromISO: text), duration > .zero, duration <= most else {
        throw VarveError(
            .badRequest, "\(name) must be a duration like PT10S, longer than PT0S and at most \(isoText(of: most))",
            at: at)
    }
    return duration
}

extension WireFields {
    mutating func timeout(_ name: String, most: Duration = ReadParameters.timeoutMax) throws(VarveError) -> Duration? {
        guard let text = try optionalText(name) else { return nil }
        return try checkedTimeout(text, named: name, most: most, at: "\(pointer)/\(name)")
    }
}
