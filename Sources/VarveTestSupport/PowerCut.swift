/// The states of a disk that a power cut may legally leave.
///
/// What was synced is there. Of what was not, anything may be: each write not at all, whole, or some of its sectors,
/// whatever came before or after it; a file's new size with or without its bytes; a name that came or went without its
/// directory being synced, or not. Only one promise is taken from the file system beyond POSIX: bytes that nobody wrote
/// are zeros.

package struct PowerCut {
    /// Written as one by the disk.
    private static let sector = 512

    private enum Change {
        case write(offset: Int, [UInt8])
        case truncate(Int)
    }

    private struct File {
        var durable: [UInt8] = []
        var pending: [Change] = []
    }

    private enum Naming {
        case bind(String, file: Int)
        case release(String)
        case move(from: String, to: String, file: Int)

        var directory: String {
            switch self {
            case .bind(let path, _), .release(let path), .move(_, let path, _): parent(of: path)
            }
        }
    }

    /// What of the pending changes reaches the disk.
    package enum Fate: Sendable {
        case nothing
        case everything
        case allButTheLast
        case onlyTheLast
        case random(seed: UInt64)
    }

    private var files: [File] = []
    /// As the process sees it.
    private var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var pendingNames: [Naming] = []
    /// What was promised before the cut.
    package private(set) var promises: [String] = []

    /// A disk that holds these files, all of it synced.
    package init(_ image: [String: [UInt8]] = [:]) {
        for (path, bytes) in image {
            names[path] = files.count
            files.append(File(durable: bytes))
        }
        durableNames = names
    }

    // MARK: What the process does

    package mutating func take(_ event: DiskRecorder.Event) {
        switch event {
        case .create(let path):
            guard names[path] == nil else { return }
            files.append(File())
            bind(path, files.count - 1)
        case .write(let path, let offset, let bytes): change(path, .write(offset: offset, bytes))
        case .truncate(let path, let size): change(path, .truncate(size))
        case .link(let from, let to): if let file = names[from] { bind(to, file) }
        case .rename(let from, let to):
            guard let file = names.removeValue(forKey: from) else { return }
            names[to] = file
            pendingNames.append(.move(from: from, to: to, file: file))
        case .unlink(let path):
            names[path] = nil
            pendingNames.append(.release(path))
        case .sync(let path):
            guard let file = names[path] else { return }
            for change in files[file].pending { Self.apply(change, to: &files[file].durable) }
            files[file].pending = []
        case .syncDirectory(let directory):
            for naming in pendingNames where naming.directory == directory { Self.apply(naming, to: &durableNames) }
            pendingNames.removeAll { $0.directory == directory }
        case .makeDirectory: break
        case .promise(let text): promises.append(text)
        }
    }

    private mutating func bind(_ path: String, _ file: Int) {
        names[path] = file
        pendingNames.append(.bind(path, file: file))
    }

    private mutating func change(_ path: String, _ change: Change) {
        if let file = names[path] { files[file].pending.append(change) }
    }

    // MARK: What the disk holds

    /// Files and their bytes after a power cut now.
    package func image(_ fate: Fate) -> [String: [UInt8]] {
        var chance = Chance(fate)
        var found = durableNames
        for (index, naming) in pendingNames.enumerated()
        where chance.keeps(isLast: index + 1 == pendingNames.count) { Self.apply(naming, to: &found) }
        var image: [String: [UInt8]] = [:]
        for (path, file) in found.sorted(by: { $0.key < $1.key }) {
            var bytes = files[file].durable
            let pending = files[file].pending
            for (index, change) in pending.enumerated() {
                let isLast = index + 1 == pending.count
                if case .write(let offset, let new) = change, case .random = fate, chance.next(3) == 0 {
                    Self.tear(new, at: offset, into: &bytes, &chance)
                } else if chance.keeps(isLast: isLast) {
                    Self.apply(change, to: &bytes)
                }
            }
            image[path] = bytes
        }
        return image
    }

    /// Each sector of a write is there or is not; the size is there or is not.
    private static func tear(_ new: [UInt8], at offset: Int, into bytes: inout [UInt8], _ chance: inout Chance) {
        let end = offset + new.count
        if chance.next(2) == 0, end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
        var from = offset
        while from < end {
            let to = min(end, (from / sector + 1) * sector)
            if chance.next(2) == 0 { apply(.write(offset: from, Array(new[from - offset..<to - offset])), to: &bytes) }
            from = to
        }
    }

    private static func apply(_ change: Change, to bytes: inout [UInt8]) {
        switch change {
        case .write(let offset, let new):
            let end = offset + new.count
            if end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(offset..<end, with: new)
        case .truncate(let size):
            if size < bytes.count {
                bytes.removeSubrange(size...)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
        }
    }

    private static func apply(_ naming: Naming, to names: inout [String: Int]) {
        switch naming {
        case .bind(let path, let file): names[path] = file
        case .release(let path): names[path] = nil
        case .move(let from, let to, let file):
            if names[from] == file { names[from] = nil }
            names[to] = file
        }
    }

    private struct Chance {
        let fate: Fate
        private var state: UInt64

        init(_ fate: Fate) {
            self.fate = fate
            if case .random(let seed) = fate { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 } else { state = 1 }
        }

        mutating func next(_ bound: UInt64) -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state % bound
        }

        mutating func keeps(isLast: Bool) -> Bool {
            switch fate {
            case .nothing: false
            case .everything: true
            case .allButTheLast: !isLast
            case .onlyTheLast: isLast
            case .random: next(2) == 0
            }
        }
    }
}

private func parent(of path: String) -> String { path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "." }

extension PowerCut {
    /// The fates to try at each cut: the four plain ones, then random ones.
    package static func fates(random count: Int, seed: UInt64) -> [Fate] {
        [.nothing, .everything, .allButTheLast, .onlyTheLast]
            + (0..<count).map { .random(seed: seed &+ UInt64($0) &* 7919) }
    }
}
