import Glibc
import VarveWire

extension Drill {
    static let storageFull = Drill(
        "storage-full", "the file system of the storage directory is full", obstacle: { _ in SmallDisk.obstacle }
    ) { drill in
        let cluster = try await drill.build { cluster in
            try SmallDisk.mount(at: cluster.storage, megabytes: 8)
            let path = cluster.storage
            drill.undoAtEnd("umount -l \(path)") { SmallDisk.unmount(path) }
        }
        try await cluster.write(20)
        try await cluster.flush()
        drill.built("20 documents in a block, on a file system of 8 MB")
        let ballast = "\(cluster.storage)/somebody-elses-file"
        drill.broken("another program fills it: \(try SmallDisk.fill(ballast) / 1_024) KiB in one file")
        try await cluster.write(20)
        drill.checked("20 more documents are acknowledged: the log has room")
        try await drill.follow(
            hands: [
                "wait until a block is due": {
                    // The flush that would wait for the block is not waited for.
                    try await drill.beside({ try await cluster.flush() }) { _ in
                        try await cluster.wait("a node is degraded") { $0.state == .degraded }
                    }
                    return "a block is cut, and finds no room"
                },
                "wait until it has healed": {
                    try await cluster.wait("node-1 is ready again") { $0.state == .ready && $0.frozenBlocks == 0 }
                    return "node-1 is ready again, without a restart"
                },
                "make room": {
                    unlink(ballast)
                    return "the other program's file removed"
                },
            ])
        try await drill.check()
    }
}
