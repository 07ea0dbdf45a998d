// What a client adds to the errors of the nodes it speaks to, and which of them end a call.

public import VarveModel
import VarveWire

extension ErrorCode {
    /// No node could be reached. Made by the client only.
    public static let nodeUnreachable = ErrorCode(stored: "NODE_UNREACHABLE")
}

extension VarveError {
    /// The same call may succeed on another node; nothing of it was applied here, or its id makes a repeat harmless.
    var isWorthAnotherNode: Bool { code == .unknownOutcome || httpCodeOfNode }

    /// The same node may answer in a moment.
    var isWorthWaiting: Bool {
        switch code {
        case .nodeUnreachable, .notReady, .overloaded, .logUnreachable, .storageUnreachable, .storageFull,
            .unknownOutcome:
            true
        default: false
        }
    }

    /// What only says something about the node that was asked: answered 503, or no answer at all.
    private var httpCodeOfNode: Bool { code == .nodeUnreachable || httpStatus(of: code) == 503 }
}

extension CallFailure {
    init(_ error: VarveError, mayHaveArrived: Bool) {
        self.init(error: error, mayHaveArrived: mayHaveArrived, isFinal: false)
    }
}
