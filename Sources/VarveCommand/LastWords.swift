// What a command says when a record ends it: which one, and what to do. A node has its breadcrumb for that; a command that
// executes records has nobody who starts it again.
//
// In a handler of signals nothing may be allocated or locked: the text is made before, the position is written digit by
// digit.

import Synchronization
import VarveCore
import VarveModel

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

enum LastWords {
    private static let signals = [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE]
    private static let before: StaticString = "varve: POISON: this command ended while it executed the record at "
    private static let between: StaticString =
        ". Nothing was changed. See docs/runbooks/poison.md; next: ask a node or a version that can apply it; if none can: varve quarantine --position "
    private static let after: StaticString = "\n"
    /// ` --config FILE`, C's way and never freed. Written by `arm` before a handler can read it, by one thread: a process
    /// runs one command.
    private nonisolated(unsafe) static var configuration: UnsafeMutablePointer<CChar>?

    /// From now on a trap between two records is what it was; one while a record is executed names it and ends with 1.
    static func arm(_ given: GivenConfiguration?) {
        _ = RecordInHand.packed.load(ordering: .relaxed)
        configuration = strdup(given.map { " --config \($0.word)" } ?? " \(GivenConfiguration.standIn)")
        for number in signals {
            var action = sigaction()
            #if canImport(Glibc)
                action.__sigaction_handler.sa_handler = handle
            #else
                action.__sigaction_u.__sa_handler = handle
            #endif
            action.sa_flags = Int32(bitPattern: UInt32(SA_RESETHAND))
            sigaction(number, &action, nil)
        }
    }

    private static let handle: @convention(c) (Int32) -> Void = { _ in
        let packed = RecordInHand.packed.load(ordering: .relaxed)
        // Returning, the trap comes again, and ends the process as it would have.
        guard packed != RecordInHand.none, let position = Position(packed: packed) else { return }
        say(before)
        say(position)
        say(between)
        say(position)
        if let configuration { _ = write(2, configuration, strlen(configuration)) }
        say(after)
        _exit(1)
    }

    private static func say(_ text: StaticString) { _ = write(2, text.utf8Start, text.utf8CodeUnitCount) }

    private static func say(_ position: Position) {
        say(UInt64(position.epoch.number))
        say("-")
        say(UInt64(clamping: position.offset.value))
    }

    private static func say(_ number: UInt64) {
        var power: UInt64 = 1
        while number / power >= 10 { power *= 10 }
        while power > 0 {
            var digit = UInt8(0x30 + number / power % 10)
            _ = write(2, &digit, 1)
            power /= 10
        }
    }
}
