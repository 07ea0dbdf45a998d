/// The objects of a database by their meaning: FORMAT, epoch records, manifests, block files.
///
/// What is read is checked: names agree with contents, and the chains of digests (epoch records; the first of them and
/// the manifests) have no hole and no other link. Names and bytes: docs/storage-format.md.

package import VarveModel

package struct BlockStore: Sendable {
    package let objects: any ObjectStore

    package init(_ objects: any ObjectStore) { self.objects = objects }

    /// An epoch record as it stands in the store.
    package struct StoredEpoch: Sendable, Equatable {
        package var record: EpochRecord
        /// SHA-256 of its bytes: what the next one, and the first manifest, name as the previous.
        package var digest: Digest

        package init(_ record: EpochRecord) {
            self.record = record
            digest = Digest(of: record.encoded())
        }
    }

    package struct StoredManifest: Sendable, Equatable {
        package var manifest: Manifest
        package var digest: Digest

        package init(_ manifest: Manifest) { self.init(manifest, read: manifest.encoded()) }

        /// - Parameter bytes: as they stand in storage; the chain is over these.
        init(_ manifest: Manifest, read bytes: Bytes) {
            self.manifest = manifest
            digest = Digest(of: bytes)
        }
    }

    // MARK: Names

    package static let formatName = "FORMAT"

    package static func epochName(_ epoch: Epoch) -> String { "epochs/e\(hexNumber(epoch.number, 4)).cbor" }

    package static func manifestName(_ epoch: Epoch, _ number: BlockNumber) -> String {
        "blocks/e\(hexNumber(epoch.number, 4))/b\(hexNumber(number.value, 16)).cbor"
    }

    /// The number in `<prefix><digits hex>.cbor`, lower case; nil for any other name.
    private static func number(in name: String, after prefix: String, digits: Int) -> UInt64? {
        guard name.hasPrefix(prefix), name.hasSuffix(".cbor") else { return nil }
        let text = name.dropFirst(prefix.count).dropLast(5)
        guard text.utf8.count == digits, let number = UInt64(text, radix: 16), hexNumber(number, digits) == text else {
            return nil
        }
        return number
    }

    // MARK: FORMAT

    /// nil when the store is empty (or not the one that was meant). Throws `CHAIN_BROKEN` when it alone is gone.
    package func readFormat() throws(VarveError) -> StorageFormat? {
        guard let bytes = try objects.get(Self.formatName) else {
            // It is durable before anything else is written.
            if try objects.size(of: Self.epochName(.first)) != nil {
                throw broken(Self.formatName, "it is missing, though epoch 0 is recorded")
            }
            return nil
        }
        do throws(CBORFault) {
            return try StorageFormat.decode(bytes)
        } catch {
            throw unreadable(Self.formatName, bytes, error, "nothing else was read")
        }
    }

    /// The format that holds from now on: `format`, or the one that another node published first.
    package func publishFormat(_ format: StorageFormat) throws(VarveError) -> StorageFormat {
        switch try objects.putIfAbsent(Self.formatName, format.encoded()) {
        case .created, .identical: return format
        case .different(let bytes):
            do throws(CBORFault) {
                return try StorageFormat.decode(bytes)
            } catch {
                throw unreadable(Self.formatName, bytes, error, "nothing else was read")
            }
        }
    }

    // MARK: Epoch records

    /// All epochs from 0 on; none when the store is empty. Throws `BLOCK_CORRUPT`, `CHAIN_BROKEN`, `UNSUPPORTED_RECORD`.
    package func epochRecords() throws(VarveError) -> [StoredEpoch] {
        let listed = try objects.list("epochs/").compactMap { Self.number(in: $0, after: "epochs/e", digits: 4) }.max()
        if listed == nil, try objects.size(of: Self.epochName(.first)) == nil {
            guard try manifestNumbers(of: .first).isEmpty else {
                throw broken(Self.epochName(.first), "it is missing, though blocks of epoch 0 are there")
            }
            return []
        }
        var newest = listed ?? 0
        // A listing may lag behind what stands there.
        while let next = Epoch(Int(clamping: newest) + 1), try objects.size(of: Self.epochName(next)) != nil {
            newest += 1
        }
        guard newest <= Epoch.highest else { throw broken("epochs/", "an epoch above \(Epoch.highest) is recorded") }
        var epochs: [StoredEpoch] = []
        for number in 0...Int(newest) {
            let epoch = Epoch(number)!
            guard let stored = try epochRecord(epoch) else {
                throw broken(Self.epochName(epoch), "it is missing, though epoch \(newest) is recorded")
            }
            guard stored.record.parent == epochs.last?.digest ?? .zero else {
                throw broken(Self.epochName(epoch), "it does not follow the record before it")
            }
            epochs.append(stored)
        }
        return epochs
    }

    /// One epoch's record, by itself: its place in the chain is not checked.
    package func epochRecord(_ epoch: Epoch) throws(VarveError) -> StoredEpoch? {
        let name = Self.epochName(epoch)
        guard let bytes = try objects.get(name) else { return nil }
        do throws(CBORFault) {
            let record = try EpochRecord.decode(bytes)
            guard record.epoch == epoch else { throw CBORReader(bytes).fault("it is of epoch \(record.epoch)") }
            return StoredEpoch(record)
        } catch {
            throw unreadable(name, bytes, error, "blocks and log are not affected")
        }
    }

    /// The record that says where an epoch ends: the next one's, unless a later one goes back behind that end, because the log
    /// before it was lost and nobody could read up to it.
    package func successor(of epoch: Epoch) throws(VarveError) -> EpochRecord? {
        guard let next = epoch.next, var found = try epochRecord(next)?.record else { return nil }
        var last = found
        while let next = last.epoch.next, let record = try epochRecord(next)?.record {
            if record.goesBack(behind: found) { found = record }
            last = record
        }
        return found
    }

    package func publishEpochRecord(_ record: EpochRecord) throws(VarveError) -> PutOutcome {
        try objects.putIfAbsent(Self.epochName(record.epoch), record.encoded())
    }

    // MARK: Manifests

    /// Every manifest on the chain, oldest first. `epochs` are those of `epochRecords`; a manifest numbered above the
    /// block at which its epoch ended is off the chain. Throws `BLOCK_CORRUPT`, `CHAIN_BROKEN`, `STORAGE_FOREIGN`.
    package func manifests(of epochs: [StoredEpoch], database: DatabaseID) throws(VarveError) -> [StoredManifest] {
        var chain: [StoredManifest] = []
        for (i, epoch) in epochs.enumerated() {
            let prefix = "blocks/e\(hexNumber(epoch.record.epoch.number, 4))/"
            // Only the newest epoch has no end yet.
            let later = epochs[(i + 1)...].map(\.record.parentEnd?.block)
            // One whose log was lost before its end came into a block ends where a later record goes back to.
            guard let end = later.isEmpty ? .max : later.contains(nil) ? nil : later.compactMap(\.?.value).min() else {
                continue
            }
            var newest = try objects.list(prefix).compactMap { Self.number(in: $0, after: prefix + "b", digits: 16) }
                .max()
            let next = chain.last?.manifest.number.next ?? .first
            // A listing may lag behind what stands there.
            var beyond = max(newest.map { $0 + 1 } ?? 0, next.value)
            while beyond <= end, try objects.size(of: Self.manifestName(epoch.record.epoch, BlockNumber(beyond))) != nil
            {
                newest = beyond
                beyond += 1
            }
            guard let newest = newest.map({ min($0, end) }), newest >= next.value else { continue }
            // Asked for one by one: a listing taken while blocks are published may lack one that is there.
            for value in next.value...newest {
                let number = BlockNumber(value)
                let name = Self.manifestName(epoch.record.epoch, number)
                guard let stored = try manifest(epoch.record.epoch, number) else {
                    throw broken(name, "it is missing, though block \(newest) is there; blocks before it are intact")
                }
                guard stored.manifest.previous == chain.last?.digest ?? epochs[0].digest else {
                    throw broken(name, "it does not follow the manifest before it; blocks before it are intact")
                }
                guard stored.manifest.database == database else {
                    throw VarveError(
                        .storageForeign,
                        "\(name) is of database \(stored.manifest.database.uuidText), this storage is of "
                            + "\(database.uuidText); nothing was written",
                        next: "check the storage path")
                }
                chain.append(stored)
            }
        }
        return chain
    }

    /// Files that manifests name and that are not there in their whole size. A look at names and sizes, no check of
    /// contents: that is `StorageVerifier`.
    package func missingFiles(of manifests: [StoredManifest]) throws(VarveError) -> [Manifest.File] {
        var missing: [Manifest.File] = []
        for file in manifests.flatMap({ $0.manifest.tables.flatMap(\.files) }) {
            if try objects.size(of: file.name) != file.size { missing.append(file) }
        }
        return missing
    }

    /// Numbers of all manifests of an epoch, on the chain or off it.
    package func manifestNumbers(of epoch: Epoch) throws(VarveError) -> [BlockNumber] {
        let prefix = "blocks/e\(hexNumber(epoch.number, 4))/"
        return try objects.list(prefix).compactMap { Self.number(in: $0, after: prefix + "b", digits: 16) }
            .map { BlockNumber($0) }
    }

    /// One manifest by itself: its place in the chain is not checked. nil when it is not there.
    package func manifest(_ epoch: Epoch, _ number: BlockNumber) throws(VarveError) -> StoredManifest? {
        let name = Self.manifestName(epoch, number)
        guard let bytes = try objects.get(name) else { return nil }
        do throws(CBORFault) {
            let manifest = try Manifest.decode(bytes)
            guard manifest.last.epoch == epoch, manifest.number == number else {
                throw CBORReader(bytes).fault("it is of block \(manifest.number) of epoch \(manifest.last.epoch)")
            }
            return StoredManifest(manifest, read: bytes)
        } catch {
            throw unreadable(name, bytes, error, "blocks before it are intact", newest: Manifest.format)
        }
    }

    /// Makes the block exist. Its files must be published before.
    package func publishManifest(_ manifest: Manifest) throws(VarveError) -> PutOutcome {
        try objects.putIfAbsent(Self.manifestName(manifest.last.epoch, manifest.number), manifest.encoded())
    }

    // MARK: Block files

    /// Puts a block file and its sidecar. Throws `BLOCK_CORRUPT` when other bytes stand under its name.
    package func publishFile(_ encoded: EncodedBlockFile) throws(VarveError) {
        if case .different = try objects.putIfAbsent(encoded.file.name, encoded.bytes) {
            throw otherBytes(encoded.file)
        }
        // What a disk gives back is what counts.
        let written = try openFile(encoded.file, by: .compared)
        guard encoded.bytes.withUnsafeBytes({ compareRaw($0, written.raw) }) == 0 else {
            throw otherBytes(encoded.file)
        }
        try restoreSidecar(of: written)
    }

    /// Whether these bytes stand under their name already, as another node has put them there; durably so when this
    /// returns. Throws `BLOCK_CORRUPT` when others do.
    package func holds(_ encoded: EncodedBlockFile) throws(VarveError) -> Bool {
        // One of another length is told from it by who tries to put it.
        guard try objects.size(of: encoded.file.name) == encoded.file.size,
            let contents = try objects.open(encoded.file.name)
        else { return false }
        let isSame = contents.withUnsafeBytes { standing in
            encoded.bytes.withUnsafeBytes { compareRaw($0, standing) == 0 }
        }
        guard isSame else { throw otherBytes(encoded.file) }
        contents.letPagesGo()
        try objects.persist(encoded.file.name)
        return true
    }

    private func otherBytes(_ file: Manifest.File) -> VarveError {
        VarveError(
            .blockCorrupt,
            "block file \(file.name) stands in storage with other bytes than its name says; nothing was overwritten, the "
                + "block is not published",
            next: "move that file away; nodes try again by themselves")
    }

    /// Puts the sidecar beside a file that was opened, so checked; returns whether it was missing or wrong. A full disk is
    /// no reason to fail: without a sidecar everything is only slower.
    @discardableResult
    package func restoreSidecar(of file: BlockFile) throws(VarveError) -> Bool {
        let name = BlockSidecar.name(of: file.file)
        let wanted = BlockSidecar(of: file).encoded()
        if try objects.get(name) == wanted { return false }
        do throws(VarveError) {
            try objects.remove(name)
            _ = try objects.putIfAbsent(name, wanted)
        } catch {
            guard error.code == .storageFull || error.code == .storageDenied else { throw error }
        }
        return true
    }

    /// The sidecar of a file, nil when there is none that is whole and of this file.
    package func sidecar(of file: Manifest.File) throws(VarveError) -> BlockSidecar? {
        try objects.get(BlockSidecar.name(of: file)).flatMap { BlockSidecar.decode($0, of: file) }
    }

    /// Opens a file that a manifest names, checking its size and SHA-256. Throws `BLOCK_CORRUPT`.
    package func openFile(_ file: Manifest.File, by proof: BlockProof = .digest) throws(VarveError) -> BlockFile {
        guard isObjectName(file.name), let contents = try objects.open(file.name) else {
            throw VarveError(
                .blockCorrupt, "block file \(file.name) is missing; other blocks are not affected",
                next: "restore this file from a backup or another copy of the storage")
        }
        return try BlockFile(contents, file, by: proof)
    }

    // MARK: Errors

    /// - Parameter newest: the highest format of such an object that this version reads.
    private func unreadable(
        _ name: String, _ bytes: Bytes, _ fault: CBORFault, _ safe: String, newest: UInt64 = 1
    ) -> VarveError {
        if let version = Self.laterVersion(bytes, than: newest) {
            return VarveError(
                .unsupportedRecord,
                "\(name) is of format \(version), this version of varve reads format \(newest); \(safe), and nothing was "
                    + "written",
                next: "install a newer version of varve on this node; if none ever wrote here, the file is damaged: "
                    + "restore it from a copy")
        }
        return VarveError(
            .blockCorrupt, "\(name) cannot be read: \(fault); \(safe)",
            next: "restore this file from a backup or another copy of the storage")
    }

    /// Each of these objects is a map whose field 0 is its format, in every version.
    private static func laterVersion(_ bytes: Bytes, than newest: UInt64) -> UInt64? {
        var reader = CBORReader(bytes)
        guard let count = try? reader.map(), count > 0, (try? reader.unsigned()) == 0,
            let version = try? reader.unsigned(), version > newest
        else { return nil }
        return version
    }

    private func broken(_ name: String, _ reason: String) -> VarveError {
        VarveError(
            .chainBroken, "\(name): \(reason)",
            next: "restore it from a backup or another copy of the storage")
    }
}

extension EpochRecord {
    /// Whether less is kept of what came before than an earlier record says.
    package func goesBack(behind earlier: EpochRecord) -> Bool {
        guard let end = parentEnd, let known = earlier.parentEnd else { return false }
        return end.position < known.position
    }
}

extension Sequence<EpochRecord> {
    /// As `BlockStore.successor`, among all that are recorded, oldest first.
    package func successor(of epoch: Epoch) -> EpochRecord? {
        reduce(nil) { found, record in
            guard record.epoch > epoch else { return found }
            guard let found else { return record }
            return record.goesBack(behind: found) ? record : found
        }
    }
}
