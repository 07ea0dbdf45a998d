/// Ends this process at the n-th change it makes to the log's directory: before it, after it, or in the middle of a write.

import Synchronization
import VarveIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

final class KillPoint: DiskWatcher {
    enum Moment: String {
        case before, half, after
    }

    private let number: Int
    private let moment: Moment
    private let seen = Mutex(0)

    init(_ number: Int, _ moment: Moment) {
        self.number = number
        self.moment = moment
    }

    func before(_ change: DiskChange) {
        let isHere = seen.withLock { seen in
            seen += 1
            return seen == number
        }
        guard isHere, moment != .after else { return }
        if moment == .half, case .write(let path, let offset, let bytes) = change {
            let descriptor = open(path, O_RDWR)
            _ = pwrite(descriptor, bytes.baseAddress, bytes.count / 2, off_t(offset))
        }
        die()
    }

    func after(_ change: DiskChange) {
        if moment == .after, seen.withLock({ $0 }) == number { die() }
    }

    private func die() {
        kill(getpid(), SIGKILL)
        while true { pause() }
    }
}

/// Says each change that the process makes, a line each: what there is to be killed at.
final class ChangeList: DiskWatcher {
    func before(_ change: DiskChange) { say(change.name) }
    func after(_ change: DiskChange) {}
}
