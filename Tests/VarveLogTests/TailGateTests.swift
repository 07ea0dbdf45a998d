import Testing
import VarveModel

@testable import VarveLog

/// The moments in which a wake-up can be lost.
@Suite struct TailGateTests {
    private final class Tail {}

    @Test func `waiting in a task that is already cancelled ends at once`() async {
        let gate = TailGate(end: .zero)
        let tail = Tail()
        let id = ObjectIdentifier(tail)
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            await gate.wait(id, above: .zero) { false }
        }
        task.cancel()
        await task.value
        withExtendedLifetime(tail) {}
    }

    @Test func `a release that came before the waiting counts`() async {
        let gate = TailGate(end: .zero)
        let tail = Tail()
        gate.release(ObjectIdentifier(tail))
        await gate.wait(ObjectIdentifier(tail), above: .zero) { true }
    }

    @Test func `an end that moved before the waiting, or a closed gate, lets through`() async {
        let gate = TailGate(end: .zero)
        let tail = Tail()
        gate.advance(to: Offset(3))
        gate.advance(to: Offset(1))
        await gate.wait(ObjectIdentifier(tail), above: Offset(2)) { false }
        gate.close()
        await gate.wait(ObjectIdentifier(tail), above: Offset(9)) { false }
    }

    @Test func `every waiter is woken when the end moves`() async {
        let gate = TailGate(end: .zero)
        let tails = (0..<8).map { _ in Tail() }
        await withTaskGroup(of: Void.self) { group in
            for tail in tails {
                let id = ObjectIdentifier(tail)
                group.addTask { await gate.wait(id, above: Offset(4)) { false } }
            }
            for end in 1...5 {
                gate.advance(to: Offset(Int64(end)))
                await Task.yield()
            }
        }
        withExtendedLifetime(tails) {}
    }
}
