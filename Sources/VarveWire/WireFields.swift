/// Reads the fields of one JSON object, each with its type, and says by pointer what is wrong.
///
/// In a request every field must be known: `finish` refuses the rest. In an answer unknown fields are ignored and `null`
/// is as good as absent, so that an old client understands a new server.

import VarveModel

struct WireFields {
    enum Role { case request, answer }

    private let fields: [Value.Field]
    /// One bit for each field that was asked for. Requests have at most a dozen; what is beyond 64 was never asked for.
    private var taken: UInt64 = 0
    private let role: Role
    /// Where the object stands.
    let pointer: String

    init(_ value: Value, at pointer: String = "", _ role: Role) throws(VarveError) {
        self.role = role
        self.pointer = pointer
        guard case .object(let fields) = value else {
            throw Self.fault("expected an object", at: pointer, role)
        }
        self.fields = fields
    }

    static func fault(_ message: String, at pointer: String, _ role: Role) -> VarveError {
        let at = pointer.isEmpty ? nil : pointer
        switch role {
        case .request: return VarveError(.badRequest, message, at: at)
        case .answer:
            return VarveError(
                .internal, "the server's answer is not understood: \(message)",
                next: "compare the versions of client and server: varve --version, varve status", at: at)
        }
    }

    func fault(_ message: String, _ name: String) -> VarveError {
        Self.fault(message, at: pointer + "/" + escapedForPointer(name), role)
    }

    /// Throws for a field of a request that nobody asked for.
    func finish() throws(VarveError) {
        guard role == .request else { return }
        for (i, field) in fields.enumerated() where i >= 64 || taken & 1 << UInt64(i) == 0 {
            throw fault("unknown field \"\(field.name)\"", field.name)
        }
    }

    // MARK: One field

    /// nil when absent.
    mutating func value(_ name: String) -> Value? {
        guard let i = fields.firstIndex(where: { $0.name.utf8.elementsEqual(name.utf8) }) else { return nil }
        if i < 64 { taken |= 1 << UInt64(i) }
        if role == .answer, case .null = fields[i].value { return nil }
        return fields[i].value
    }

    /// What `convert` makes of the field, nil when it is absent. `expected` completes the sentence "… must be".
    mutating func optional<T>(_ name: String, _ expected: String, _ convert: (Value) -> T?) throws(VarveError) -> T? {
        guard let value = value(name) else { return nil }
        guard let converted = convert(value) else { throw fault("\(name) must be \(expected)", name) }
        return converted
    }

    mutating func required<T>(_ name: String, _ expected: String, _ convert: (Value) -> T?) throws(VarveError) -> T {
        guard let converted = try optional(name, expected, convert) else { throw fault("\(name) is missing", name) }
        return converted
    }

    mutating func text(_ name: String) throws(VarveError) -> String { try required(name, "a text", \.asText) }
    mutating func optionalText(_ name: String) throws(VarveError) -> String? { try optional(name, "a text", \.asText) }
    mutating func bool(_ name: String) throws(VarveError) -> Bool { try required(name, "true or false", \.asBool) }
    mutating func number(_ name: String) throws(VarveError) -> Double { try required(name, "a number", \.asNumber) }

    mutating func optionalBool(_ name: String) throws(VarveError) -> Bool? {
        try optional(name, "true or false", \.asBool)
    }

    /// An integer that is not negative.
    mutating func count(_ name: String) throws(VarveError) -> Int {
        try required(name, "an integer of at least 0", \.asCount)
    }

    mutating func optionalCount(_ name: String) throws(VarveError) -> Int? {
        try optional(name, "an integer of at least 0", \.asCount)
    }

    mutating func list(_ name: String) throws(VarveError) -> [Value] { try required(name, "an array", \.asArray) }

    mutating func position(_ name: String) throws(VarveError) -> Position {
        try required(name, "a position like 0-123") { $0.asText.flatMap { Position($0) } }
    }

    mutating func optionalPosition(_ name: String) throws(VarveError) -> Position? {
        try optional(name, "a position like 0-123") { $0.asText.flatMap { Position($0) } }
    }

    mutating func optionalToken(_ name: String) throws(VarveError) -> Token? {
        try optional(name, "a token like 0-123-9f2c41d07a6be853 or a position") { $0.asText.flatMap { Token($0) } }
    }

    mutating func instant(_ name: String) throws(VarveError) -> Instant {
        try required(name, "an instant like 2026-11-21T10:00:00Z") { $0.asText.flatMap { Instant($0) } }
    }

    mutating func optionalInstant(_ name: String) throws(VarveError) -> Instant? {
        try optional(name, "an instant like 2026-11-21T10:00:00Z") { $0.asText.flatMap { Instant($0) } }
    }

    mutating func optionalID(_ name: String) throws(VarveError) -> SubmissionID? {
        try optional(name, "32 hexadecimal digits") { $0.asText.flatMap { SubmissionID(hex: $0) } }
    }

    mutating func id(_ name: String) throws(VarveError) -> SubmissionID {
        guard let id = try optionalID(name) else { throw fault("\(name) is missing", name) }
        return id
    }

    /// The object below `name`.
    mutating func object(_ name: String) throws(VarveError) -> WireFields {
        guard let value = value(name) else { throw fault("\(name) is missing", name) }
        return try WireFields(value, at: pointer + "/" + name, role)
    }

    mutating func optionalObject(_ name: String) throws(VarveError) -> WireFields? {
        guard let value = value(name) else { return nil }
        return try WireFields(value, at: pointer + "/" + name, role)
    }

    /// The objects of an array below `name`.
    mutating func objects(_ name: String) throws(VarveError) -> [WireFields] {
        var objects: [WireFields] = []
        for (i, value) in try list(name).enumerated() {
            objects.append(try WireFields(value, at: "\(pointer)/\(name)/\(i)", role))
        }
        return objects
    }
}

extension Value {
    var asCount: Int? {
        guard case .integer(let number) = self, number >= 0 else { return nil }
        return Int(number)
    }

    var asNumber: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .double(let number): number
        default: nil
        }
    }

    /// An object in this order; a field that is nil is left out.
    static func fields(_ list: KeyValuePairs<String, Value?>) -> Value {
        .object(list.compactMap { name, value in value.map { Field(name, $0) } })
    }

    static func text(of value: some CustomStringConvertible) -> Value { .text(value.description) }
    static func count(_ value: Int) -> Value { .integer(Int64(value)) }
}
