import Synchronization
import Testing
import VarveModel

@testable import VarveCommand

/// What a terminal is told about a long wait.
@Suite struct WaitingTests {
    @Test func itSaysWhatIsWaitedForAndWhyOnce() async throws {
        let said = Mutex<[String]>([])
        let waiting = Waiting { line in said.withLock { $0.append(line) } }
        await waiting.during("the outcome of the transaction") {
            waiting.because(VarveError(.logUnreachable, "no broker", next: "wait"))
            while said.withLock({ $0.isEmpty }) { try? await Task.sleep(for: .milliseconds(20)) }
            waiting.because(VarveError(.logUnreachable, "no broker"))
        }
        let line = "waiting for the outcome of the transaction (Ctrl-C ends it): LOG_UNREACHABLE: no broker"
        #expect(said.withLock { $0 } == [line])
    }

    @Test func aFileIsToldEachReasonOnceAndNothingElse() async throws {
        let said = Mutex<[String]>([])
        let waiting = Waiting(silence: .zero, isTerminal: false) { line in said.withLock { $0.append(line) } }
        await waiting.during("the outcome of the transaction") {
            for _ in 0..<3 { waiting.because(VarveError(.storageFull, "no room", next: "make room")) }
            waiting.because(VarveError(.logUnreachable, "no broker"))
        }
        #expect(said.withLock { $0 } == ["waiting: STORAGE_FULL: no room", "waiting: LOG_UNREACHABLE: no broker"])
    }

    @Test func aShortWaitIsToldNothing() async throws {
        let said = Mutex<[String]>([])
        let waiting = Waiting(silence: .seconds(3_600)) { line in said.withLock { $0.append(line) } }
        #expect(await waiting.during("nothing") { 7 } == 7)
        waiting.goesOn()
        waiting.because(VarveError(.notReady, "starting"))
        #expect(said.withLock { $0.isEmpty })
    }
}
