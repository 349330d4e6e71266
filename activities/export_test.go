package activities

// What becomes of an error of the Sysdig client: in general, and where it leaves
// open what became of an execution.
var (
	ToTemporal = toTemporal
	Unknowable = unknowable
)
