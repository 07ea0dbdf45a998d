/// What the program's end tells a script; the numbers of `sysexits.h` where it has one.
package enum ExitCode: Int32, Sendable, CaseIterable {
    case success = 0
    /// The work was done and the answer is no, an aborted transaction too.
    case failure = 1
    /// The command line is wrong.
    case usage = 64
    /// An input file is missing or cannot be read.
    case noInput = 66
    /// Node, log or storage cannot be reached.
    case unavailable = 69
    case configuration = 78
    /// SIGINT.
    case interrupted = 130
}
