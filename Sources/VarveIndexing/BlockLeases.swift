/// Which lists of blocks readers still hold: a block list keeps a lease on its newest block for as long as it is held.
///
/// The oldest lease goes into the heartbeat: files that were replaced later than that may still be opened here, so nobody
/// may delete them.

internal import Synchronization
internal import VarveModel

final class BlockLeases: Sendable {
    private let held = Mutex<[UInt64: Int]>([:])

    /// Held by every copy of one block list.
    final class Lease: Sendable {
        private let number: UInt64
        private let leases: BlockLeases

        fileprivate init(_ number: UInt64, _ leases: BlockLeases) {
            self.number = number
            self.leases = leases
        }

        deinit {
            leases.held.withLock { held in
                let count = (held[number] ?? 1) - 1
                held[number] = count == 0 ? nil : count
            }
        }
    }

    func lease(_ number: BlockNumber) -> Lease {
        held.withLock { $0[number.value, default: 0] += 1 }
        return Lease(number.value, self)
    }

    var oldest: BlockNumber? { held.withLock { $0.keys.min() }.map { BlockNumber($0) } }
}
