/// What is being decoded, kept where a signal handler can print it: a trap ends the process, and this line is what is left.

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

enum LastInput {
    static let bytesMax = 1 << 20

    // One thread decodes, and the handler runs on that thread: nothing here is touched by two at once.
    private nonisolated(unsafe) static let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: bytesMax)
    private nonisolated(unsafe) static let text = UnsafeMutablePointer<UInt8>.allocate(capacity: 2 * bytesMax + 512)
    private nonisolated(unsafe) static var count = 0
    private nonisolated(unsafe) static var seed: UInt64 = 0
    private nonisolated(unsafe) static var number = 0
    private nonisolated(unsafe) static var name: [UInt8] = []

    static func note(_ decoder: Decoder, _ seed: UInt64, _ number: Int, _ input: [UInt8]) {
        if number & 0xffff == 0 || name.isEmpty { name = Array(decoder.name.utf8) }
        self.seed = seed
        self.number = number
        count = min(input.count, bytesMax)
        input.withUnsafeBufferPointer { if let base = $0.baseAddress { bytes.update(from: base, count: count) } }
    }

    static func begin(_ decoder: Decoder) { name = Array(decoder.name.utf8) }

    /// Prints the input of a trap, an access outside, or an exhausted stack, and ends with exit code 1.
    static func watch() {
        // A stack of its own: the ordinary one may be what was used up.
        var stack = stack_t()
        stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: 1 << 16, alignment: 16)
        stack.ss_size = 1 << 16
        sigaltstack(&stack, nil)
        for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT] {
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { _ in LastInput.report() }
            action.sa_flags = Int32(SA_ONSTACK)
            sigaction(number, &action, nil)
        }
    }

    /// Only what a signal handler may do: no allocation, one write.
    private static func report() {
        var at = 0
        func put(_ byte: UInt8) {
            text[at] = byte
            at += 1
        }
        func say(_ words: StaticString) {
            for i in 0..<words.utf8CodeUnitCount { put(words.utf8Start[i]) }
        }
        func decimal(_ value: UInt64) {
            var divisor: UInt64 = 10_000_000_000_000_000_000
            var isLeading = true
            while divisor > 0 {
                let digit = UInt8(value / divisor % 10)
                if digit != 0 || divisor == 1 { isLeading = false }
                if !isLeading { put(0x30 + digit) }
                divisor /= 10
            }
        }
        say("TRAP in ")
        for byte in name { put(byte) }
        say(": seed ")
        decimal(seed)
        say(" input ")
        decimal(UInt64(number))
        say("\nagain: varve-fuzz ")
        for byte in name { put(byte) }
        say(" --hex ")
        for i in 0..<count {
            let (high, low) = (bytes[i] >> 4, bytes[i] & 15)
            put(high < 10 ? 0x30 + high : 0x57 + high)
            put(low < 10 ? 0x30 + low : 0x57 + low)
        }
        put(0x0a)
        _ = write(2, text, at)
        _exit(1)
    }
}
