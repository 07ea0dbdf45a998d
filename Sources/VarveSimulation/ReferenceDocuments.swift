/// The oracle's documents: of each key everything that ever happened to it, in order.

internal import VarveModel

struct ReferenceDocuments {
    enum Event {
        case version(Position, SimpleDocument.Fields?)
        case erase(Position)
    }

    struct Place: Hashable {
        var table: String
        var key: Key
    }

    var events: [Place: [Event]] = [:]

    /// The document as of `position`, to a reader that has applied up to `applied`: an erase hides what is older at every
    /// position, also at those before it.
    func document(
        _ table: TableName, _ key: Key, asOf position: Position, applied: Position
    ) -> (position: Position, fields: SimpleDocument.Fields)? {
        var visible: [Event] = []
        for event in events[Place(table: table.text, key: key)] ?? [] {
            switch event {
            case .erase(let at): if at <= applied { visible = [] }
            case .version(let at, _): if at <= position { visible.append(event) }
            }
        }
        return Self.newest(visible)
    }

    func keys(_ table: TableName) -> [Key] { events.keys.filter { $0.table == table.text }.map(\.key) }

    static func newest(_ events: [Event]) -> (position: Position, fields: SimpleDocument.Fields)? {
        guard case .version(let position, let fields?)? = events.last else { return nil }
        return (position, fields)
    }
}
