import Testing
import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct FileTests {
    @Test func `bytes written are read back at their place, short only at the end`() throws {
        try withScratch { root throws in
            let file = try File(root + "/f", .createOrUpdate)
            try file.write(Array("hello".utf8), at: 3)
            try file.syncData()
            #expect(try file.size == 8)
            #expect(try file.read(100, at: 3) == Array("hello".utf8))
            #expect(try file.read(2, at: 4) == Array("el".utf8))
            #expect(try file.read(4, at: 8).isEmpty)
            try file.truncate(to: 5)
            #expect(try text(root + "/f") == "\0\0\0he")
        }
    }

    @Test func `an exclusive lock is held by one opener and freed by closing`() throws {
        try withScratch { root throws in
            var first: File? = try File(root + "/lock", .createOrUpdate)
            let second = try File(root + "/lock", .createOrUpdate)
            #expect(try first!.lock())
            #expect(try second.lock() == false)
            first = nil
            #expect(try second.lock())
        }
    }

    @Test func `createNew refuses a name that is taken`() throws {
        try withScratch { root throws in
            _ = try File(root + "/f", .createNew)
            let error = #expect(throws: IOError.self) { _ = try File(root + "/f", .createNew) }
            #expect(error?.kind == .exists)
        }
    }

    /// A pipe end cannot be synced (EINVAL): the nearest thing to a failing disk that needs no privileges.
    @Test func `after a failed sync the file refuses writes and further syncs with the first error`() throws {
        try withScratch { root throws in
            #expect(mkfifo(root + "/pipe", 0o600) == 0)
            let file = try File(root + "/pipe", .update)
            let first = #expect(throws: IOError.self) { try file.syncData() }
            #expect(first?.kind == .sync)
            #expect(throws: try #require(first)) { try file.write([1], at: 0) }
            #expect(throws: try #require(first)) { try file.sync() }
        }
    }

    @Test(arguments: [
        (ENOSPC, IOError.Kind.full), (EDQUOT, .full), (EFBIG, .full), (EACCES, .denied), (EROFS, .denied),
        (ENOTDIR, .denied), (EISDIR, .denied), (ENOENT, .missing), (EEXIST, .exists), (ESTALE, .unreachable),
        (EIO, .unreachable),
        (ETIMEDOUT, .unreachable), (ENOTCONN, .unreachable), (EINVAL, .other),
    ])
    func `an errno is of one kind`(code: Int32, kind: IOError.Kind) {
        #expect(IOError(code: code, operation: "pwrite", path: "/f").kind == kind)
        #expect(IOError(code: code, operation: "fdatasync", path: "/f").kind == .sync)
    }
}
