/// Reads all of a storage and says what is there and what is damaged: `varve blocks verify`.
///
/// Epoch records and manifests are checked as chains; every block file by size, SHA-256 and by putting each of its
/// documents together. Nothing is changed but sidecars, which are derived: a wrong one is built again from its file.

package import VarveModel

package struct StorageReport: Sendable, Equatable {
    package struct Damage: Sendable, Equatable {
        package var name: String
        package var block: BlockNumber
        package var table: TableName
        package var reason: String
        /// Batches that are damaged, where the sidecar can tell; nil where it cannot.
        package var batches: [Int]?
        /// What can still be read of the file.
        package var readable: String
    }

    package var database: DatabaseID
    package var epochs = 0
    package var blocks = 0
    package var files = 0
    package var rows: UInt64 = 0
    package var bytes: UInt64 = 0
    package var damages: [Damage] = []
    /// Files below `tables/` that no manifest names: of a publication that never came to its end.
    package var unnamed: [String] = []
    /// Sidecars that were missing or wrong.
    package var sidecarsRebuilt: [String] = []
    /// Those that still are: the storage cannot be written, or something else stands there.
    package var sidecarsWanting: [String] = []
}

package struct StorageVerifier {
    private let store: BlockStore

    package init(_ store: BlockStore) { self.store = store }

    /// Throws what makes it pointless to go on: no database, a broken chain, an unreadable manifest.
    package func verify(onFile: (Manifest.File) -> Void = { _ in }) throws(VarveError) -> StorageReport {
        guard let format = try store.readFormat() else {
            throw VarveError(.storageMissing, "the storage holds no database yet", next: "check the path of storage")
        }
        let epochs = try store.epochRecords()
        var report = StorageReport(database: format.database)
        report.epochs = epochs.count
        var named: Set<String> = []
        var tables: Set<TableName> = []
        for stored in try store.manifests(of: epochs, database: format.database) {
            report.blocks += 1
            for table in stored.manifest.tables {
                tables.insert(table.name)
                for file in table.files {
                    onFile(file)
                    named.insert(file.name)
                    report.files += 1
                    try check(file, table.name, stored.manifest.number, &report)
                }
            }
        }
        for table in tables.sorted() {
            for name in try store.objects.list("tables/\(table)/") where name.hasSuffix(".arrow") {
                if !named.contains(name) { report.unnamed.append(name) }
            }
        }
        return report
    }

    private func check(
        _ file: Manifest.File, _ table: TableName, _ block: BlockNumber, _ report: inout StorageReport
    ) throws(VarveError) {
        let opened: BlockFile
        do throws(VarveError) {
            opened = try store.openFile(file)
            for row in 0..<opened.rowCount { _ = try opened.document(at: row) }
        } catch {
            // A storage that cannot be reached says nothing about its files.
            guard error.code == .blockCorrupt else { throw error }
            report.damages.append(try locate(file, table, block, error.message))
            return
        }
        report.rows += UInt64(opened.rowCount)
        report.bytes += file.size
        guard try store.restoreSidecar(of: opened) else { return }
        let name = BlockSidecar.name(of: file)
        if try store.sidecar(of: file) == nil {
            report.sidecarsWanting.append(name)
        } else {
            report.sidecarsRebuilt.append(name)
        }
    }

    /// Which batches are damaged, as far as the sidecar's checksums tell.
    private func locate(
        _ file: Manifest.File, _ table: TableName, _ block: BlockNumber, _ reason: String
    ) throws(VarveError) -> StorageReport.Damage {
        var damage = StorageReport.Damage(
            name: file.name, block: block, table: table, reason: reason, batches: nil, readable: "nothing")
        let contents: any ObjectContents
        do throws(VarveError) {
            guard let found = try store.objects.open(file.name) else { return damage }
            contents = found
        } catch {
            guard error.code == .blockCorrupt else { throw error }
            return damage
        }
        guard let sidecar = try store.sidecar(of: file) else {
            damage.readable = "unknown: its sidecar is gone, too"
            return damage
        }
        var lost: [Int] = []
        var lostRows = 0
        var rows = 0
        for (i, batch) in sidecar.batches.enumerated() {
            rows += batch.rows
            let isWhole = contents.withUnsafeBytes { raw in
                batch.range.upperBound <= raw.count
                    && crc32c(UnsafeRawBufferPointer(rebasing: raw[batch.range])) == batch.checksum
            }
            guard !isWhole else { continue }
            lost.append(i)
            lostRows += batch.rows
        }
        damage.batches = lost
        damage.readable =
            "\(rows - lostRows) of \(rows) rows stand in whole batches"
            + (lost.isEmpty ? "; only the file's frame is damaged" : "")
        return damage
    }
}
