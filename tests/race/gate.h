/* What gate.so says before each statement, one packet each; one byte in answer lets it go on, and so many more. */
#ifndef EXPUNGE_RACE_GATE_H
#define EXPUNGE_RACE_GATE_H

struct gate_report {
	int backend; /* 0: it sleeps */
	char text[44];
};

#endif
