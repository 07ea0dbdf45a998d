// Writing to standard output and standard error.

import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

package enum OutputError: Error, Sendable, Equatable {
    /// Nobody reads any more (`varve sql … | head`): the program ends quietly.
    case closed
    /// `errno` of the write, a full disk for one.
    case failed(Int32)
}

/// A descriptor that several threads may write to; each `write` appears whole.
///
/// Not buffered: hand over lines or pieces, not characters.
package final class Output: Sendable {
    package let descriptor: Int32
    private let lock = Mutex(())

    package init(descriptor: Int32) { self.descriptor = descriptor }

    package static let standard = Output(descriptor: Terminal.standardOutput)
    package static let error = Output(descriptor: Terminal.standardError)

    package var isTerminal: Bool { Terminal.isTerminal(descriptor) }

    /// The text and a line break.
    package func line(_ text: String = "") throws(OutputError) { try write(text + "\n") }

    package func write(_ text: String) throws(OutputError) { try write(Array(text.utf8)) }

    package func write(_ bytes: [UInt8]) throws(OutputError) {
        let failure: OutputError? = lock.withLock { _ in
            bytes.withUnsafeBytes { buffer in
                var done = 0
                while done < buffer.count {
                    let written = systemWrite(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done)
                    if written >= 0 {
                        done += written
                    } else if errno == EAGAIN {
                        // Somebody made the terminal non-blocking; wait until it takes more.
                        var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        _ = poll(&wait, 1, 1000)
                    } else if errno == EPIPE {
                        return .closed
                    } else if errno != EINTR {
                        return .failed(errno)
                    }
                }
                return nil
            }
        }
        if let failure { throw failure }
    }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
