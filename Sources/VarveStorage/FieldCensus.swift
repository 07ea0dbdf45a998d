/// Counts which fields a file's documents have and of which types: what its columns follow from.

import VarveModel

struct FieldCensus {
    /// Fields with a column of their own at most.
    static let columnsMax = 256
    /// So many names are found by walking along; documents with more (data used as names) go through a dictionary.
    private static let nearMax = 1024

    private var near = FieldNames()
    private var far: [Bytes: Int] = [:]
    private var names: [Bytes] = []
    private var kinds: [ValueKinds] = []
    private var counts: [Int] = []

    mutating func count(_ document: UnsafeRawBufferPointer) throws(DocumentFault) {
        var scanner = try DocumentScanner(document)
        var hint = 0
        for _ in 0..<scanner.remaining {
            let field = try scanner.next()
            let id: Int
            switch near.find(field.name, from: hint) {
            case .found(let known, let next):
                id = known
                hint = next
            case .missing(let place):
                id = add(field.name, at: place)
            }
            kinds[id].formUnion(field.kind)
            counts[id] += 1
        }
        guard scanner.isAtEnd else { throw DocumentFault(reason: "it goes on after its end") }
    }

    private mutating func add(_ name: UnsafeRawBufferPointer, at place: Int) -> Int {
        let copy = Bytes(Array(name))
        if let known = far[copy] { return known }
        let id = names.count
        names.append(copy)
        kinds.append(.null)
        counts.append(0)
        if near.count < Self.nearMax { near.insert(name, id: id, at: place) } else { far[copy] = id }
        return id
    }

    /// The columns, by the bytes of their names, and whether fields are left over. A name that begins with `_` is
    /// reserved and never gets a column.
    func columns() -> (fields: [(name: Bytes, type: ColumnType)], hasRest: Bool) {
        var chosen = names.indices.filter { names[$0].isEmpty || names[$0][0] != 0x5f }
        if chosen.count > Self.columnsMax {
            chosen.sort { counts[$0] != counts[$1] ? counts[$0] > counts[$1] : names[$0] < names[$1] }
            chosen.removeSubrange(Self.columnsMax...)
        }
        chosen.sort { names[$0] < names[$1] }
        return (chosen.map { (names[$0], kinds[$0].columnType) }, chosen.count < names.count)
    }
}
