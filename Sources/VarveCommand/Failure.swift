// How an error ends the program: one line and an exit code.

import VarveClient
import VarveModel
import VarveTerminal

struct Failure: Error, Equatable {
    var line: String
    var exitCode: ExitCode

    init(_ line: String, _ exitCode: ExitCode) {
        self.line = line
        self.exitCode = exitCode
    }

    init(_ error: any Error) {
        switch error {
        case let failure as Failure: self = failure
        case let error as VarveError: self.init(Self.line(error), Self.exitCode(error))
        case OutputError.failed(let code):
            self.init("IO_FATAL: standard output cannot be written: error \(code)", .failure)
        default: self.init("INTERNAL: \(error)", .failure)
        }
    }

    /// An input file that is missing is no failure of the work.
    static func input(_ error: VarveError) -> Failure {
        Failure(line(error), error.code == .notFound ? .noInput : exitCode(error))
    }

    /// What the command line asks for and this version has not.
    static func notSupported(_ what: String) -> Failure {
        Failure("Error: \(what) is not supported by this version", .usage)
    }

    static func exitCode(_ error: VarveError) -> ExitCode {
        switch error.code {
        case .configInvalid: .configuration
        case .nodeUnreachable, .notReady, .overloaded, .logUnreachable, .storageUnreachable: .unavailable
        case .badRequest where error.message.hasSuffix("is not supported by this version"): .usage
        default: .failure
        }
    }

    private static func line(_ error: VarveError) -> String {
        // One line, whatever a node or a file put into it.
        String(error.description.map { $0.isNewline ? " " : $0 })
    }
}
