/// Why bytes are not the gzip stream they should be.
package enum GzipError: Error, Equatable, Sendable {
    /// Not gzip, or damaged: zlib's words.
    case corrupt(String)
    /// The stream ended inside a member, or held none.
    case truncated
    /// Something other than another member follows the last one.
    case trailingBytes
    /// More came out than the caller allowed.
    case tooLarge(limit: Int)
    /// zlib could not get its memory.
    case outOfMemory
}

extension GzipError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .corrupt(let reason): "not valid gzip: \(reason)"
        case .truncated: "the gzip stream ends too early"
        case .trailingBytes: "bytes that are not gzip follow the last gzip member"
        case .tooLarge(let limit): "the gzip stream inflates to more than \(limit) bytes"
        case .outOfMemory: "no memory for gzip"
        }
    }
}
