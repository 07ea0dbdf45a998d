import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct FaultTests {
    @Test func `a failed sync is IO_FATAL: pending unknown, later refused, nothing written any more`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let faults = FileFaults()
        let log = try await files.open(faults: faults)
        _ = await log.append([LogContract.genesis(.first), Bytes("a")])
        let tail = try await log.tail(from: Offset(2))
        #if canImport(Glibc)
            faults.plant(.init("fdatasync", code: EIO))
        #else
            faults.plant(.init("fsync", code: EIO))
        #endif
        guard case .unknown(let error) = await log.append([Bytes("b")])[0] else {
            Issue.record("a record whose sync failed has a definite answer")
            return
        }
        #expect(error.code == .ioFatal)
        let size = try FileSystem.size(of: files.segment)
        guard case .refused(let later) = await log.append([Bytes("c")])[0] else {
            Issue.record("a poisoned log takes records")
            return
        }
        #expect(later.code == .ioFatal)
        #expect(try await texts(log) == ["genesis", "a"], "reads go on, without the record nobody is sure of")
        await log.close()
        #expect(try await tail.next() == nil)
        #expect(try FileSystem.size(of: files.segment) == size, "not even a header is written")
        // Another start finds it in the file, makes it durable, and then it is in the log.
        let again = try await files.open()
        #expect(try await texts(again) == ["genesis", "a", "b"])
        await again.close()
    }

    @Test func `a write that finds no room is refused and cut back, and the next one is taken`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        let faults = FileFaults()
        let log = try await files.open(faults: faults)
        _ = await log.append([LogContract.genesis(.first), Bytes("a")])
        for part in [0, 10, 50, 70] {
            faults.plant(.init("pwrite", code: ENOSPC, bytesBefore: part))
            guard case .refused(let error) = await log.append([Bytes("lost"), Bytes("lost too")])[1] else {
                Issue.record("taken without room")
                return
            }
            #expect(error.code == .storageFull)
            guard case .stored = await log.append([Bytes("kept \(part)")])[0] else {
                Issue.record("refused though there is room")
                return
            }
        }
        let kept = ["genesis", "a", "kept 0", "kept 10", "kept 50", "kept 70"]
        #expect(try await texts(log) == kept)
        await log.close()
        let again = try await files.open()
        #expect(try await texts(again) == kept)
        await again.close()
    }

    @Test func `a write that fails for another reason, or cannot be cut back, is IO_FATAL`() async throws {
        for faultsPlanted: [FileFaults.Fault] in [
            [.init("pwrite", code: EIO, bytesBefore: 20)],
            [.init("pwrite", code: ENOSPC, bytesBefore: 20), .init("ftruncate", code: EIO)],
        ] {
            let files = try LogFiles()
            defer { files.remove() }
            let faults = FileFaults()
            let log = try await files.open(faults: faults)
            _ = await log.append([LogContract.genesis(.first)])
            for fault in faultsPlanted { faults.plant(fault) }
            guard case .unknown(let error) = await log.append([Bytes("b")])[0] else {
                Issue.record("a definite answer")
                return
            }
            #expect(error.code == .ioFatal)
            await log.close()
            let again = try await files.open()
            #expect(try await texts(again) == ["genesis"])
            await again.close()
        }
    }

    @Test func `a directory that may not be written is LOG_DENIED`() async throws {
        guard getuid() != 0 else { return }
        let files = try LogFiles()
        defer { files.remove() }
        chmod(files.scratch.path, 0o500)
        defer { chmod(files.scratch.path, 0o700) }
        let error = await #expect(throws: VarveError.self) { _ = try await files.open() }
        #expect(error?.code == .logDenied)
    }

    @Test func `a path that is a file is LOG_DENIED`() async throws {
        let files = try LogFiles()
        defer { files.remove() }
        _ = try File(files.directory, .createNew)
        let error = await #expect(throws: VarveError.self) { _ = try await files.open() }
        #expect(error?.code == .logDenied)
    }
}
