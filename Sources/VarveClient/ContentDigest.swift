// What names a load: a digest of the whole inflated content, computed before the first byte is sent.
//
// A tree of one level: SHA-256 over the SHA-256 of each mebibyte, and so the same whether the input is gzip, which is
// read in order, or a plain file, whose mebibytes are hashed on all cores.

internal import Dispatch
internal import Synchronization
import VarveModel

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

struct ContentDigest: Sendable, Equatable {
    let digest: Digest
    /// Of the inflated content.
    let bytes: Int

    private static let leafBytes = 1 << 20

    /// Throws `NOT_FOUND` for what cannot be read, `BAD_REQUEST` for broken gzip.
    init(of input: LoadInput) throws(VarveError) {
        if case .file(let path) = input, let plain = Self.plainFile(path) {
            self = plain
            return
        }
        var reader = try ContentReader(input)
        var leaves: [Digest] = []
        var bytes = 0
        var pending: [UInt8] = []
        var isMore = true
        while isMore {
            isMore = try reader.read(into: &pending)
            var start = 0
            while pending.count - start >= Self.leafBytes || !isMore && start < pending.count {
                let end = min(pending.count, start + Self.leafBytes)
                leaves.append(Digest(of: Bytes(pending)[start..<end]))
                bytes += end - start
                start = end
            }
            pending.removeFirst(start)
        }
        self.init(leaves, bytes)
    }

    private init(_ leaves: [Digest], _ bytes: Int) {
        var hash = SHA256()
        for leaf in leaves { hash.update(leaf) }
        digest = hash.digest()
        self.bytes = bytes
    }

    /// Of a regular file that is no gzip; nil for anything else, and when a read fails: then the reader in order says why.
    private static func plainFile(_ path: String) -> ContentDigest? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        var head: UInt16 = 0
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            pread(descriptor, &head, 2, 0) < 2 || head.littleEndian != 0x8b1f
        else { return nil }
        let size = Int(status.st_size)
        let count = (size + leafBytes - 1) / leafBytes
        let leaves = Mutex<[Digest?]>(Array(repeating: nil, count: count))
        DispatchQueue.concurrentPerform(iterations: count) { i in
            let length = min(leafBytes, size - i * leafBytes)
            let leaf = withUnsafeTemporaryAllocation(byteCount: length, alignment: 16) { buffer -> Digest? in
                var done = 0
                while done < length {
                    let got = pread(descriptor, buffer.baseAddress! + done, length - done, off_t(i * leafBytes + done))
                    if got < 0 && errno == EINTR { continue }
                    guard got > 0 else { return nil }
                    done += got
                }
                var hash = SHA256()
                hash.update(UnsafeRawBufferPointer(buffer))
                return hash.digest()
            }
            leaves.withLock { $0[i] = leaf }
        }
        let found = leaves.withLock { $0.compactMap { $0 } }
        return found.count == count ? ContentDigest(found, size) : nil
    }
}
