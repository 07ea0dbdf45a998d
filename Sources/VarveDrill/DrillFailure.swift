/// Why a drill did not pass: the first thing that was not as the page, or the database, promises.
struct DrillFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
