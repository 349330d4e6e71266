package activities

// What becomes of an error of the Sysdig client: in general, and where it leaves
// open what became of an execution.
var (
	ToTemporal = toTemporal
	Unknowable = unknowable

	// Undoes checks what a manual action says of the incident that it is about.
	Undoes = undoes
)

// Unsigned is a value of an execution's outputs as it is stored.
func Unsigned(value any) any { return unsigned(value) }
