/// A table as SQLite sees it, and the bridge between SQLite's C callbacks and Swift objects.
///
/// One module serves every table: `CREATE VIRTUAL TABLE` gives schema and name, by which the connection finds the
/// `VirtualTable`. SQLite's structs hold a retained reference (`owner`), released when SQLite drops the struct. All of it
/// is touched by one thread at a time, the one that runs the statement.

import CVarveSQLite
import VarveModel

/// The answer to `xBestIndex` is a number in `idxNum`; what it means is between a table and its cursors.
class VirtualTable {
    /// `CREATE TABLE x(…)` with the columns.
    var declaration: String { fatalError("a table declares its columns") }

    /// Kinds handed out so far, for each column.
    final var kinds: [CellKinds] = []
    /// Name and, where it can't be otherwise, kind of each column.
    final var columns: [(name: String, fixed: QueryColumn.Kind?)] = []

    func bestIndex(_ info: UnsafeMutablePointer<sqlite3_index_info>) throws(VarveError) {}

    func makeCursor() -> VirtualCursor { fatalError("a table makes its cursors") }

    final func column(named name: String) -> Int? {
        columns.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
    }
}

class VirtualCursor {
    final var isAtEnd = true

    func filter(plan: Int, _ arguments: UnsafeBufferPointer<OpaquePointer?>) throws(VarveError) {}
    func advance() throws(VarveError) {}
    func column(_ index: Int, _ result: OpaquePointer) throws(VarveError) {}
    /// Only asked of tables that have no primary key.
    var rowNumber: Int64 { 0 }
}

/// What the callbacks need of the connection they were registered on.
protocol VirtualTableHost: AnyObject {
    func table(schema: String, name: String) -> VirtualTable?
    /// Keeps the first failure, which is then the query's.
    func note(_ failure: VarveError)
}

enum VirtualModule {
    static let name = "varve"

    /// Registers the module. The host must outlive the connection.
    static func register(on database: OpaquePointer, host: any VirtualTableHost) -> Int32 {
        let box = HostBox(host)
        return sqlite3_create_module_v2(
            database, name, &module, Unmanaged.passRetained(box).toOpaque(),
            { Unmanaged<HostBox>.fromOpaque($0!).release() })
    }

    final class HostBox {
        // Unowned: the host closes the connection, which releases this box, before it goes.
        unowned let host: any VirtualTableHost
        init(_ host: any VirtualTableHost) { self.host = host }
    }

    // Written once, by its initialiser, and only read afterwards; SQLite keeps its address.
    nonisolated(unsafe) private static var module = makeModule()
}

/// A cursor and the host that hears of its failures.
final class CursorOwner {
    let cursor: VirtualCursor
    unowned let host: any VirtualTableHost

    init(_ cursor: VirtualCursor, host: any VirtualTableHost) {
        self.cursor = cursor
        self.host = host
    }

    @inline(__always)
    func attempt(_ body: () throws(VarveError) -> Void) -> Int32 {
        do {
            try body()
            return SQLITE_OK
        } catch {
            host.note(error)
            return SQLITE_ERROR
        }
    }
}

private final class TableOwner {
    let table: VirtualTable
    unowned let host: any VirtualTableHost

    init(_ table: VirtualTable, host: any VirtualTableHost) {
        self.table = table
        self.host = host
    }
}

private typealias TablePointer = UnsafeMutablePointer<sqlite3_vtab>
private typealias CursorPointer = UnsafeMutablePointer<sqlite3_vtab_cursor>
private typealias ErrorPointer = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

private func owner(of table: TablePointer) -> Unmanaged<TableOwner> {
    UnsafeMutableRawPointer(table).withMemoryRebound(to: varve_vtab.self, capacity: 1) { .fromOpaque($0.pointee.owner) }
}

@inline(__always)
private func frame(of cursor: CursorPointer) -> UnsafeMutablePointer<varve_vtab_cursor> {
    UnsafeMutableRawPointer(cursor).assumingMemoryBound(to: varve_vtab_cursor.self)
}

@inline(__always)
private func withOwner(_ cursor: CursorPointer, _ body: (CursorOwner) -> Int32) -> Int32 {
    Unmanaged<CursorOwner>.fromOpaque(frame(of: cursor).pointee.owner)._withUnsafeGuaranteedRef(body)
}

private func connect(
    _ database: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ count: Int32,
    _ arguments: UnsafePointer<UnsafePointer<CChar>?>?, _ result: UnsafeMutablePointer<TablePointer?>?,
    _ message: ErrorPointer?
) -> Int32 {
    guard let context, let arguments, count >= 3, let schema = arguments[1], let name = arguments[2] else {
        return SQLITE_MISUSE
    }
    let host = Unmanaged<VirtualModule.HostBox>.fromOpaque(context).takeUnretainedValue().host
    guard let table = host.table(schema: String(cString: schema), name: String(cString: name)) else {
        message?.pointee = varve_sqlite_copy("no such table: \(String(cString: name))")
        return SQLITE_ERROR
    }
    let code = sqlite3_declare_vtab(database, table.declaration)
    guard code == SQLITE_OK else {
        message?.pointee = varve_sqlite_copy(String(cString: sqlite3_errmsg(database)))
        return code
    }
    guard let memory = sqlite3_malloc(Int32(MemoryLayout<varve_vtab>.size)) else { return SQLITE_NOMEM }
    let own = memory.bindMemory(to: varve_vtab.self, capacity: 1)
    own.initialize(
        to: varve_vtab(
            base: sqlite3_vtab(), owner: Unmanaged.passRetained(TableOwner(table, host: host)).toOpaque()))
    result?.pointee = UnsafeMutableRawPointer(own).assumingMemoryBound(to: sqlite3_vtab.self)
    return SQLITE_OK
}

private func disconnect(_ table: TablePointer?) -> Int32 {
    guard let table else { return SQLITE_MISUSE }
    owner(of: table).release()
    sqlite3_free(table)
    return SQLITE_OK
}

private func open(_ table: TablePointer?, _ result: UnsafeMutablePointer<CursorPointer?>?) -> Int32 {
    guard let table, let memory = sqlite3_malloc(Int32(MemoryLayout<varve_vtab_cursor>.size)) else {
        return SQLITE_NOMEM
    }
    let owner = owner(of: table).takeUnretainedValue()
    let cursor = CursorOwner(owner.table.makeCursor(), host: owner.host)
    let own = memory.bindMemory(to: varve_vtab_cursor.self, capacity: 1)
    own.initialize(
        to: varve_vtab_cursor(
            base: sqlite3_vtab_cursor(), owner: Unmanaged.passRetained(cursor).toOpaque(), atEnd: 1))
    result?.pointee = UnsafeMutableRawPointer(own).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
    return SQLITE_OK
}

private func makeModule() -> sqlite3_module {
    var module = sqlite3_module()
    module.iVersion = 1
    // `xCreate` differs from `xConnect`, so the module's own name is no table and no table is a function.
    module.xCreate = { connect($0, $1, $2, $3, $4, $5) }
    module.xConnect = { database, context, count, arguments, result, message in
        count < 3 ? SQLITE_MISUSE : connect(database, context, count, arguments, result, message)
    }
    module.xDisconnect = { disconnect($0) }
    module.xDestroy = { disconnect($0) }
    module.xBestIndex = { table, info in
        guard let table, let info else { return SQLITE_MISUSE }
        let owner = owner(of: table).takeUnretainedValue()
        do throws(VarveError) {
            try owner.table.bestIndex(info)
            return SQLITE_OK
        } catch {
            owner.host.note(error)
            return SQLITE_ERROR
        }
    }
    module.xOpen = { open($0, $1) }
    module.xClose = { cursor in
        guard let cursor else { return SQLITE_MISUSE }
        Unmanaged<CursorOwner>.fromOpaque(frame(of: cursor).pointee.owner).release()
        sqlite3_free(cursor)
        return SQLITE_OK
    }
    module.xFilter = { cursor, plan, _, count, arguments in
        guard let cursor else { return SQLITE_MISUSE }
        return withOwner(cursor) { owner in
            let code = owner.attempt { () throws(VarveError) in
                try owner.cursor.filter(plan: Int(plan), UnsafeBufferPointer(start: arguments, count: Int(count)))
            }
            frame(of: cursor).pointee.atEnd = code != SQLITE_OK || owner.cursor.isAtEnd ? 1 : 0
            return code
        }
    }
    module.xNext = { cursor in
        guard let cursor else { return SQLITE_MISUSE }
        return withOwner(cursor) { owner in
            let code = owner.attempt { () throws(VarveError) in try owner.cursor.advance() }
            if code != SQLITE_OK || owner.cursor.isAtEnd { frame(of: cursor).pointee.atEnd = 1 }
            return code
        }
    }
    module.xEof = { cursor in
        guard let cursor else { return 1 }
        return frame(of: cursor).pointee.atEnd
    }
    module.xColumn = { cursor, result, index in
        guard let cursor, let result else { return SQLITE_MISUSE }
        return withOwner(cursor) { owner in
            owner.attempt { () throws(VarveError) in try owner.cursor.column(Int(index), result) }
        }
    }
    module.xRowid = { cursor, result in
        guard let cursor, let result else { return SQLITE_MISUSE }
        return withOwner(cursor) { owner in
            result.pointee = owner.cursor.rowNumber
            return SQLITE_OK
        }
    }
    return module
}
