/// What this process holds while it works, sampled twenty times a second.
///
/// The live index grows from block to block and is then let go: one look at an instant says where in that saw's tooth it
/// fell. So medians are compared, of some blocks at the beginning and of as many at the end. The first block is left out:
/// it fills what every later one uses again.

internal import CVarveHeap
internal import Synchronization

final class MemoryWatch: Sendable {
    struct Look {
        /// Of the process, in MB of 10^6 bytes, as the kernel counts.
        var residentMB: Double
        /// Of that, what is in allocations that live; the rest is code, mapped files and the allocator's slack.
        var heapMB: Double
    }

    /// Rounds at the beginning, and at the end, whose medians are compared.
    static let stretch = 8

    private struct State {
        var looks: [(round: Int, look: Look)] = []
        var round = 0
    }
    private let state = Mutex(State())

    var rounds: Int { state.withLock(\.round) }
    func endRound() { state.withLock { $0.round += 1 } }

    /// Until it is cancelled.
    func run() async throws {
        while !Task.isCancelled {
            let resident = Machine.memory(of: processID)?.now ?? 0
            let look = Look(residentMB: resident, heapMB: Double(varve_heap_in_use()) / 1_000_000)
            state.withLock { $0.looks.append(($0.round, look)) }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// The second block and those after it.
    var early: Look { median(1..<1 + Self.stretch) }
    var late: Look { median(rounds - Self.stretch..<rounds) }

    private func median(_ rounds: Range<Int>) -> Look {
        let looks = state.withLock { $0.looks.filter { rounds.contains($0.round) }.map(\.look) }
        func middle(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }
        return Look(residentMB: middle(looks.map(\.residentMB)), heapMB: middle(looks.map(\.heapMB)))
    }
}
