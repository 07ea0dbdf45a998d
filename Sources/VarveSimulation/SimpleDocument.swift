/// Documents of simulations: maps of short names to integers.

internal import VarveModel

enum SimpleDocument {
    typealias Fields = [String: Int64]

    /// nil when the bytes are no document of ours; a nil value removes the field.
    static func decode(_ bytes: Bytes, isPatch: Bool) -> [String: Int64?]? {
        var fields: [String: Int64?] = [:]
        var reader = CBORReader(bytes)
        do throws(CBORFault) {
            for _ in 0..<(try reader.map()) {
                let name = try reader.text()
                if try reader.peek() == .simple {
                    guard isPatch, try reader.simple() == .undefined else { return nil }
                    fields[name] = .some(nil)
                } else {
                    fields[name] = try reader.integer()
                }
            }
            return reader.isAtEnd ? fields : nil
        } catch { return nil }
    }

    static func encode(_ fields: Fields) -> Bytes {
        var writer = CBORWriter()
        writer.map(fields.count)
        for (name, value) in fields.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            writer.text(name)
            writer.integer(value)
        }
        return Bytes(writer.bytes)
    }
}
