/// `gc/<digest>.cbor`: what one collector of garbage means to remove, written down before anything is.

package import VarveModel

package struct GarbageIntent: Sendable, Equatable {
    package static let format: UInt64 = 1
    package var names: [String]

    package init(_ names: [String]) { self.names = names.sorted() }

    /// `{0: format, 1: [names]}`
    package func encoded() -> Bytes {
        var w = CBORWriter()
        w.map(2)
        w.unsigned(0)
        w.unsigned(Self.format)
        w.unsigned(1)
        w.array(names.count)
        for name in names { w.text(name) }
        return Bytes(w.bytes)
    }

    package static func decode(_ bytes: Bytes) throws(CBORFault) -> GarbageIntent {
        var r = CBORReader(bytes)
        guard try r.map() == 2, try r.unsigned() == 0, try r.unsigned() == format, try r.unsigned() == 1 else {
            throw r.fault("no intent")
        }
        var names: [String] = []
        for _ in 0..<(try r.array()) { names.append(try r.text()) }
        try r.expectEnd()
        return GarbageIntent(names)
    }

    /// Named by its content: two collectors that mean the same write the same object.
    package var name: String { "gc/\(Digest(of: encoded()).shortHex).cbor" }

    /// Those that stand in the store, with how long ago they were written by its clock. What is no intent says nothing.
    package static func pending(
        in store: BlockStore
    ) throws(VarveError) -> [(intent: GarbageIntent, name: String, age: Duration)] {
        var found: [(intent: GarbageIntent, name: String, age: Duration)] = []
        for name in try store.objects.list("gc/") {
            // Another collector may be through with it.
            guard let bytes = try store.objects.get(name) else { continue }
            guard let intent = try? decode(bytes), intent.name == name else { continue }
            found.append((intent, name, try store.objects.age(of: name) ?? .zero))
        }
        return found
    }
}
